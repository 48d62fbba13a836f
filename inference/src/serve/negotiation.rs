//! Which of several forms of an answer a client likes.

use http::HeaderMap;
use http::header::ACCEPT;

/// Whether a client asks for HTML by name, and for JSON less: browsers do, and nobody else.
pub fn likes_html(headers: &HeaderMap) -> bool {
    let of = |kind| wish(headers, kind, |_| false);
    of("text/html") > of("application/json")
}

/// Whether a client asks for version 1 of OpenMetrics by name, and for Prometheus' own format less.
pub fn likes_open_metrics(headers: &HeaderMap) -> bool {
    let open_metrics = wish(headers, "application/openmetrics-text", |parameter| {
        !parameter.starts_with("version=") || parameter == "version=1.0.0"
    });
    open_metrics > wish(headers, "text/plain", |_| true)
}

/// How much a client likes the media type that it names, in thousandths; 0 if it does not, or only
/// with a parameter that is not one of `kind`'s.
fn wish(headers: &HeaderMap, kind: &str, is_parameter: fn(&str) -> bool) -> u16 {
    let values = headers.get_all(ACCEPT).iter();
    let lists = values.filter_map(|value| value.to_str().ok());
    let wishes = lists.flat_map(|list| list.split(','));
    let named = wishes.filter_map(|wish| {
        let (name, parameters) = wish.split_once(';').unwrap_or((wish, ""));
        let named = name.trim().eq_ignore_ascii_case(kind);
        named.then(|| weight(parameters, is_parameter))
    });
    named.max().unwrap_or(0)
}

/// The quality in `parameters`, 0 if one of them is neither that nor another that may be there.
fn weight(parameters: &str, is_parameter: fn(&str) -> bool) -> u16 {
    let is_other = |parameter: &&str| !parameter.is_empty() && !is_parameter(parameter);
    let parameters = parameters.split(';').map(str::trim);
    let (quality, others): (Vec<_>, Vec<_>) =
        parameters.partition(|one| one.starts_with(['q', 'Q']));
    match others.iter().any(is_other) {
        true => 0,
        false => quality.first().map_or(1000, |one| self::quality(one)),
    }
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

    #[rstest]
    // Prometheus 3.
    #[case(
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
        true
    )]
    // Prometheus 2.
    #[case(
        "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        true
    )]
    #[case("application/openmetrics-text; version=1.0.0; charset=utf-8", true)]
    #[case("application/openmetrics-text", true)]
    // Prometheus told to ask for its own format.
    #[case(
        "text/plain;version=0.0.4;q=0.5,application/openmetrics-text;version=1.0.0;q=0.4",
        false
    )]
    #[case(
        "application/openmetrics-text;version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        false
    )]
    #[case("application/openmetrics-text;version=2.0.0", false)]
    #[case("application/openmetrics-text;q=0", false)]
    #[case("application/openmetrics-text, text/plain", false)]
    #[case("text/plain", false)]
    #[case("*/*", false)]
    fn open_metrics_is_for_those_who_like_it_better(
        #[case] accepted: &'static str,
        #[case] expected: bool,
    ) {
        let headers = [(ACCEPT, HeaderValue::from_static(accepted))];
        let headers = headers.into_iter().collect();
        assert_eq!(likes_open_metrics(&headers), expected);
    }
}
