//! `forest MODEL DATA`: predicts batches of 1,000 rows without any HTTP, and prints how many rows
//! that makes in a second of one core.

use inference::model::Batch;
use inference::predict;
use inference::table::Table;
use peers::Outcome;
use std::hint::black_box;
use std::io;
use std::path::Path;

const ROWS: usize = 1_000;
const GROUPS: usize = 9;
const GROUP_SECONDS: f64 = 0.15;

fn main() -> Outcome {
    let [model, data] = peers::arguments("forest MODEL DATA")?;
    let loaded = peers::model(model)?;
    let rows = predict::rows(&loaded.manifest, &Table::open(Path::new(&data))?)?;
    let values = rows.iter().cycle().take(ROWS).flatten().copied().collect();
    let batch = Batch::new(values, rows.columns())?;
    let seconds = median_seconds(|| {
        black_box(loaded.model.predict(black_box(&batch)));
    })?;
    println!("{{\"rows_per_cpu_second\":{}}}", ROWS as f64 / seconds);
    Ok(())
}

/// The median of some groups of calls; the first group, which is not counted, finds their size.
fn median_seconds(mut call: impl FnMut()) -> io::Result<f64> {
    let (begin, mut calls) = (cpu_seconds()?, 0);
    while cpu_seconds()? - begin < GROUP_SECONDS {
        call();
        calls += 1;
    }
    let mut groups = [0.0; GROUPS];
    for seconds in &mut groups {
        let begin = cpu_seconds()?;
        (0..calls).for_each(|_| call());
        *seconds = (cpu_seconds()? - begin) / f64::from(calls);
    }
    groups.sort_by(f64::total_cmp);
    Ok(groups[GROUPS / 2])
}

/// The time that the only thread spent on a core: what else runs there does not count.
fn cpu_seconds() -> io::Result<f64> {
    let spent = std::fs::read_to_string("/proc/self/schedstat")?;
    let nanoseconds = spent.split(' ').next().and_then(|it| it.parse().ok());
    nanoseconds
        .map(|it: f64| it / 1e9)
        .ok_or_else(|| io::Error::other("no schedstat"))
}
