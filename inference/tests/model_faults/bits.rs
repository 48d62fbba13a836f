//! 100,000 flipped bits. Many are harmless, as in a name or in the range of a feature; a model that
//! still passes its self-test is one.

use crate::judge::{judge, load};
use crate::models::{Sample, samples};
use contract::config::Builtin;
use inference::artifact::Task;
use inference::load::builtin;
use rstest::rstest;
use std::panic::{AssertUnwindSafe, catch_unwind};

const FLIPS: usize = 100_000;

/// How many of the files that one flip each makes of a sample still load.
fn flip(sample: &Sample, flips: usize) -> usize {
    let mut random = fastrand::Rng::with_seed(sample.plain.len() as u64);
    let mut bytes = sample.plain.clone();
    let mut loaded = 0;
    for _ in 0..flips {
        let (at, bit) = (random.usize(..bytes.len()), random.u8(..8));
        bytes[at] ^= 1 << bit;
        let judged = catch_unwind(AssertUnwindSafe(|| judge(&bytes, &mut random).is_ok()));
        let judged = judged.unwrap_or_else(|_| panic!("{}: bit {bit} of byte {at}", sample.name()));
        loaded += usize::from(judged);
        bytes[at] ^= 1 << bit;
    }
    loaded
}

#[rstest]
#[case(Task::Classification)]
#[case(Task::Regression)]
fn a_flipped_bit_is_refused_or_harmless(#[case] task: Task) {
    let flips = FLIPS.div_ceil(samples().len());
    for sample in samples().iter().filter(|sample| sample.task == task) {
        let loaded = flip(sample, flips);
        // Otherwise the flips would not have got to where models are built and used.
        let some = flips / 50..flips / 2;
        assert!(some.contains(&loaded), "{}: {loaded}", sample.name());
    }
}

#[test]
fn a_flipped_bit_of_a_packed_file_is_refused_or_harmless() {
    let packed = builtin(Builtin::Diabetes);
    let whole = load(packed).unwrap();
    let mut bytes = packed.to_vec();
    let mut harmless = 0;
    for at in 0..packed.len() {
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            // Some say nothing about the contents, or the same in another way.
            if let Ok(model) = load(&bytes) {
                assert_eq!(model.manifest, whole.manifest, "bit {bit} of byte {at}");
                harmless += 1;
            }
            bytes[at] ^= 1 << bit;
        }
    }
    assert!(harmless < 100, "{harmless}");
}
