//! The epochs as a table of numbers, for spreadsheets and scripts.

use crate::train::observer::EpochReport;

/// A CSV with a line for each epoch. Numbers that are none are empty; a metric that an epoch lacks is too.
pub(super) fn csv(history: &[EpochReport]) -> Vec<u8> {
    let names = metric_names(history);
    let mut writer = csv::Writer::from_writer(Vec::new());
    let first = ["epoch", "trains", "train_loss", "valid_loss"];
    let last = ["seconds", "waiting", "pictures_per_second"];
    // Writing into memory cannot fail, and all rows have one length.
    let _ = writer.write_record(first.into_iter().chain(names.iter().copied()).chain(last));
    for epoch in history {
        let metrics = names.iter().map(|name| text(metric(epoch, name)));
        let losses = [text(epoch.train_loss), text(epoch.valid_loss)];
        let speed = [text(epoch.time.as_secs_f64()), text(epoch.waiting), text(epoch.pictures_per_second)];
        let row = [epoch.epoch.to_string(), epoch.trains.clone()].into_iter().chain(losses).chain(metrics).chain(speed);
        let _ = writer.write_record(row);
    }
    writer.into_inner().unwrap_or_default()
}

/// The names of all metrics, in the order in which they first occur.
pub(super) fn metric_names(history: &[EpochReport]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in history.iter().flat_map(|epoch| &epoch.metrics) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names
}

/// An epoch's metric; no number where it lacks it.
pub(super) fn metric(epoch: &EpochReport, name: &str) -> f64 {
    epoch.metrics.iter().find(|(known, _)| known == name).map_or(f64::NAN, |(_, value)| *value)
}

fn text(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_line_for_each_epoch_with_every_digit() {
        let epoch = EpochReport {
            epoch: 1,
            epochs: 1,
            trains: "head, quoted".to_owned(),
            train_loss: 0.1 + 0.2,
            valid_loss: f64::NAN,
            metrics: vec![("map".to_owned(), 0.5)],
            time: Duration::from_millis(1500),
            waiting: 0.25,
            pictures_per_second: 10.0,
        };
        assert_eq!(
            String::from_utf8(csv(&[epoch])).unwrap(),
            "epoch,trains,train_loss,valid_loss,map,seconds,waiting,pictures_per_second\n\
             1,\"head, quoted\",0.30000000000000004,,0.5,1.5,0.25,10\n"
        );
    }
}
