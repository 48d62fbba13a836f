//! Rows to train on and rows to hold out.

/// Row numbers, each list rising.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Rows to train on.
    pub train: Vec<usize>,
    /// Rows held out.
    pub test: Vec<usize>,
}

/// Splits `groups` of row numbers so that `share` of each group is held out, at least one row of
/// each on either side: classes as groups make the split stratified. Every group has at least two
/// rows. The same seed gives the same split, on every machine and with every version.
pub fn split(groups: &[Vec<usize>], share: f64, seed: u64) -> Split {
    let mut random = SplitMix64(seed);
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for group in groups {
        let mut rows = group.clone();
        random.shuffle(&mut rows);
        let held_out = (rows.len() as f64 * share).round() as usize;
        let held_out = held_out.clamp(1, rows.len() - 1);
        test.extend_from_slice(&rows[..held_out]);
        train.extend_from_slice(&rows[held_out..]);
    }
    train.sort_unstable();
    test.sort_unstable();
    Split { train, test }
}

/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014. Crates change
/// their generators between versions; a split must not.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Fisher-Yates.
    fn shuffle(&mut self, rows: &mut [usize]) {
        for last in (1..rows.len()).rev() {
            let bound = last as u128 + 1;
            let chosen = (u128::from(self.next()) * bound) >> 64;
            rows.swap(last, chosen as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_gives_the_published_numbers() {
        let mut random = SplitMix64(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn every_row_is_on_one_side_and_every_group_on_both() {
        let groups = [
            (0..50).collect::<Vec<_>>(),
            (50..53).collect(),
            vec![53, 54],
        ];
        let split = split(&groups, 0.2, 42);
        let mut all = [split.train.clone(), split.test.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..55).collect::<Vec<_>>());
        assert_eq!(split.test.len(), 10 + 1 + 1);
        assert!(split.train.iter().any(|row| *row >= 53));
    }

    #[test]
    fn the_seed_decides() {
        let groups = [(0..100).collect::<Vec<_>>()];
        assert_eq!(split(&groups, 0.2, 1), split(&groups, 0.2, 1));
        assert_ne!(split(&groups, 0.2, 1), split(&groups, 0.2, 2));
    }
}
