//! TEMPORARY
#![allow(missing_docs)]
pub struct M { pub mean: f64 }
pub fn mean_average_precision(s: &[f64], t: &[bool], l: usize) -> M {
    let n = s.len() / l; let mut sum = 0.0;
    for j in 0..l {
        let mut v: Vec<(f64, bool)> = (0..n).map(|i| (s[i*l+j], t[i*l+j])).collect();
        v.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (mut tp, mut ap) = (0.0, 0.0);
        for (k, x) in v.iter().enumerate() { if x.1 { tp += 1.0; ap += tp / (k as f64 + 1.0); } }
        sum += ap / tp;
    }
    M { mean: sum / l as f64 }
}
pub fn accuracy_multi(s: &[f64], t: &[bool], th: f64) -> f64 { s.iter().zip(t).filter(|(a, b)| (**a > th) == **b).count() as f64 / s.len() as f64 }
