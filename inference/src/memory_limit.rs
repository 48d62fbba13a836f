//! How much memory this process may use.

use std::fs;

/// Where the control group of a container says it: version 2, version 1.
const FILES: [&str; 2] = [
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
];
/// What version 1 says where there is no limit is about as much as there are addresses.
const NO_LIMIT: u64 = 1 << 60;

/// Bytes, if there is a limit.
pub fn memory_limit() -> Option<u64> {
    let texts = FILES
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok());
    texts.filter_map(|text| parse(&text)).next()
}

fn parse(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|bytes| *bytes < NO_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("67108864\n", Some(64 << 20))]
    #[case("max\n", None)]
    #[case("9223372036854771712\n", None)]
    #[case("", None)]
    fn a_limit_is_a_number(#[case] text: &str, #[case] expected: Option<u64>) {
        assert_eq!(parse(text), expected);
    }
}
