//! The text format, read strictly.

use super::Server;
use std::collections::BTreeMap;

/// A family as read back from the text.
#[derive(Debug, Default)]
pub struct Family {
    pub kind: String,
    pub help: String,
    /// Name, labels and value of each sample.
    pub samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

/// Reads the text format strictly, by its specification and not by the crate that wrote it.
pub fn parse(text: &str) -> BTreeMap<String, Family> {
    assert!(text.ends_with('\n'), "the last line must end");
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            let fresh = families
                .insert(name.to_owned(), Family::default())
                .is_none();
            assert!(fresh, "{name} comes twice");
            families.get_mut(name).unwrap().help = help.to_owned();
            current = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, current, "the type follows the help");
            families.get_mut(name).unwrap().kind = kind.to_owned();
        } else {
            let (name, labels, value) = sample(line);
            let family = families.get_mut(&current).unwrap();
            let suffixes: &[&str] = match family.kind.as_str() {
                "histogram" => &["_bucket", "_sum", "_count"],
                "summary" => &["_sum", "_count"],
                _ => &[""],
            };
            let known = suffixes
                .iter()
                .any(|suffix| name == format!("{current}{suffix}"));
            assert!(known, "{name} under {current}");
            family.samples.push((name, labels, value));
        }
    }
    families
}

fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let value = match value {
        "+Inf" => f64::INFINITY,
        number => number
            .parse()
            .unwrap_or_else(|_| panic!("no number in {line}")),
    };
    let Some((name, rest)) = series.split_once('{') else {
        return (series.to_owned(), BTreeMap::new(), value);
    };
    let mut rest = rest.strip_suffix('}').unwrap();
    let mut labels = BTreeMap::new();
    while !rest.is_empty() {
        let (key, quoted) = rest.split_once("=\"").unwrap();
        let end = closing_quote(quoted);
        assert!(
            labels
                .insert(key.to_owned(), quoted[..end].to_owned())
                .is_none()
        );
        rest = quoted[end + 1..].trim_start_matches(',');
    }
    (name.to_owned(), labels, value)
}

fn closing_quote(text: &str) -> usize {
    let mut escaped = false;
    let quote = text.char_indices().find(|(_, char)| {
        let ends = *char == '"' && !escaped;
        escaped = *char == '\\' && !escaped;
        ends
    });
    quote.unwrap().0
}

/// What `server` shows a scraper.
pub fn exposition(server: &Server) -> BTreeMap<String, Family> {
    parse(&server.exposition())
}
