//! Which of several forms of an answer a client likes.

use http::HeaderMap;
use http::header::ACCEPT;

/// Whether a client asks for HTML by name, and for JSON less: browsers do, and nobody else.
pub fn likes_html(headers: &HeaderMap) -> bool {
    let of = |kind| wish(headers, kind);
    of("text/html") > of("application/json")
}

/// How much a client likes the media type that it names, in thousandths; 0 if it does not.
fn wish(headers: &HeaderMap, kind: &str) -> u16 {
    let values = headers.get_all(ACCEPT).iter();
    let lists = values.filter_map(|value| value.to_str().ok());
    let wishes = lists.flat_map(|list| list.split(','));
    let named = wishes.filter_map(|wish| {
        let (name, parameters) = wish.split_once(';').unwrap_or((wish, ""));
        let named = name.trim().eq_ignore_ascii_case(kind);
        named.then(|| quality(parameters))
    });
    named.max().unwrap_or(0)
}

/// Of `q=0.8`, 800; 1000 if there is none; 0 if it is nonsense.
pub(super) fn quality(parameters: &str) -> u16 {
    let parameters = parameters.trim();
    let Some((name, value)) = parameters.split_once('=') else {
        return if parameters.is_empty() { 1000 } else { 0 };
    };
    match value.trim().parse::<f32>() {
        Ok(value) if name.trim().eq_ignore_ascii_case("q") && (0.0..=1.0).contains(&value) => {
            (value * 1000.0).round() as u16
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use rstest::rstest;

    #[rstest]
    #[case(&["text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"], true)]
    #[case(&["text/html"], true)]
    #[case(&["Text/HTML;q=0.5"], true)]
    #[case(&["text/html, application/json;q=0.9"], true)]
    #[case(&["application/xml", "text/html"], true)]
    #[case(&[], false)]
    #[case(&["*/*"], false)]
    #[case(&["text/*"], false)]
    #[case(&["application/json, text/plain, */*"], false)]
    #[case(&["application/json, text/html"], false)]
    #[case(&["application/json, text/html;q=0.9"], false)]
    #[case(&["text/html;q=0"], false)]
    #[case(&["text/html;q=2"], false)]
    #[case(&["text/htmlx"], false)]
    #[case(&[";,=,"], false)]
    fn html_is_for_those_who_name_it(#[case] accepted: &[&'static str], #[case] expected: bool) {
        let values = accepted.iter().copied().map(HeaderValue::from_static);
        let headers = values.map(|value| (ACCEPT, value)).collect();
        assert_eq!(likes_html(&headers), expected);
    }
}
