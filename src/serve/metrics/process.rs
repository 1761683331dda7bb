//! The process as the system sees it. On Linux only; elsewhere these metrics are absent.

use std::{fmt, fs};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Unit,
};

#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        if let Some(bytes) = resident_bytes() {
            let help = "Memory of the process that is in RAM, ONNX Runtime's included";
            let gauge =
                encoder.encode_descriptor("process_resident_memory", help, Some(&Unit::Bytes), MetricType::Gauge)?;
            ConstGauge::new(bytes).encode(gauge)?;
        }
        if let Some(open) = open_files() {
            let help = "Files, sockets and pipes that are open";
            let gauge = encoder.encode_descriptor("process_open_fds", help, None, MetricType::Gauge)?;
            ConstGauge::new(open).encode(gauge)?;
        }
        Ok(())
    }
}

/// `VmRSS` of /proc/self/status, which is in kB of 1024 bytes.
fn resident_bytes() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<i64>().ok().map(|kilobytes| kilobytes * 1024)
}

fn open_files() -> Option<i64> {
    // The folder that is being read is one of them.
    let open = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
    i64::try_from(open).ok()
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(target_os = "linux")]
    fn memory_and_open_files_grow_with_what_is_taken() {
        // Other tests open and close files meanwhile.
        let before = super::open_files().unwrap();
        let _files: Vec<_> = (0..300).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
        assert!(super::open_files().unwrap() >= before + 200);
        let before = super::resident_bytes().unwrap();
        let taken = vec![1_u8; 256 << 20];
        assert!(super::resident_bytes().unwrap() > before + (64 << 20));
        drop(std::hint::black_box(taken));
    }
}
