//! Compressed bodies, both ways: which coding one has, and which one a client takes.

mod deflate;
mod inflate;

pub use deflate::{SMALLEST, compress, layer};
pub use inflate::inflate;

use super::error::Error;
use super::negotiation::quality;
use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// `gzip`
    Gzip,
    /// `deflate`
    Deflate,
}

impl Coding {
    /// Every coding, the preferred first.
    pub const ALL: [Self; 2] = [Self::Gzip, Self::Deflate];

    /// Its name in headers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        // What gzip was called at first is still to be understood.
        let name = name.strip_prefix("x-").unwrap_or(name);
        let mut all = Self::ALL.into_iter();
        all.find(|coding| coding.as_str().eq_ignore_ascii_case(name))
    }

    /// The coding of a request's body; None if it is not compressed.
    ///
    /// # Errors
    /// `ContentEncoding` if there are several, or one that is not known.
    pub fn of_body(headers: &HeaderMap) -> Result<Option<Self>, Error> {
        let mut coding = None;
        for value in headers.get_all(CONTENT_ENCODING) {
            let name = value.to_str().map_err(|_| Error::ContentEncoding)?.trim();
            if name.is_empty() || name.eq_ignore_ascii_case("identity") {
                continue;
            }
            let known = Self::parse(name).ok_or(Error::ContentEncoding)?;
            if coding.replace(known).is_some() {
                return Err(Error::ContentEncoding);
            }
        }
        Ok(coding)
    }

    /// The coding that a client likes best for the answer; None if it likes none.
    pub fn accepted(headers: &HeaderMap) -> Option<Self> {
        if !headers.contains_key(ACCEPT_ENCODING) {
            return None;
        }
        let wishes = Wishes::read(headers);
        let best = |best: Self, coding: Self| match wishes.of(coding) > wishes.of(best) {
            true => coding,
            false => best,
        };
        let best = Self::ALL.into_iter().reduce(best)?;
        let plain = wishes.identity.unwrap_or(0);
        (wishes.of(best) > 0 && wishes.of(best) >= plain).then_some(best)
    }
}

/// How much a client likes each coding, in thousandths. Codings that it does not mention are
/// liked as `*` is.
#[derive(Default)]
struct Wishes {
    codings: [Option<u16>; Coding::ALL.len()],
    identity: Option<u16>,
    rest: Option<u16>,
}

impl Wishes {
    fn read(headers: &HeaderMap) -> Self {
        let mut wishes = Self::default();
        let values = headers.get_all(ACCEPT_ENCODING).iter();
        let lists = values.filter_map(|value| value.to_str().ok());
        for wish in lists.flat_map(|list| list.split(',')) {
            let (name, parameters) = wish.split_once(';').unwrap_or((wish, ""));
            let quality = Some(quality(parameters));
            match name.trim() {
                "*" => wishes.rest = quality,
                name if name.eq_ignore_ascii_case("identity") => wishes.identity = quality,
                name => {
                    if let Some(coding) = Coding::parse(name) {
                        wishes.codings[coding as usize] = quality;
                    }
                }
            }
        }
        wishes
    }

    fn of(&self, coding: Coding) -> u16 {
        let wish = self.codings[coding as usize];
        wish.or(self.rest).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn headers(name: &http::HeaderName, values: &[&'static str]) -> HeaderMap {
        let values = values.iter().copied().map(http::HeaderValue::from_static);
        values.map(|value| (name.clone(), value)).collect()
    }

    #[rstest]
    #[case(&[], None)]
    #[case(&[""], None)]
    #[case(&["gzip"], Some(Coding::Gzip))]
    #[case(&["GZIP"], Some(Coding::Gzip))]
    #[case(&["x-gzip"], Some(Coding::Gzip))]
    #[case(&["deflate"], Some(Coding::Deflate))]
    #[case(&["deflate, gzip"], Some(Coding::Gzip))]
    #[case(&["deflate", "gzip"], Some(Coding::Gzip))]
    #[case(&["gzip;q=0.5, deflate;q=0.8"], Some(Coding::Deflate))]
    #[case(&["gzip; Q = 0.5 , deflate ; q=0.8"], Some(Coding::Deflate))]
    #[case(&["gzip;q=0"], None)]
    #[case(&["gzip;q=0, *"], Some(Coding::Deflate))]
    #[case(&["*"], Some(Coding::Gzip))]
    #[case(&["*;q=0"], None)]
    #[case(&["identity"], None)]
    #[case(&["identity, gzip"], Some(Coding::Gzip))]
    #[case(&["identity, gzip;q=0.5"], None)]
    #[case(&["identity;q=0, *"], Some(Coding::Gzip))]
    #[case(&["br, zstd"], None)]
    #[case(&["br, zstd, gzip, deflate"], Some(Coding::Gzip))]
    #[case(&["gzip;q=2"], None)]
    #[case(&["gzip;q=NaN"], None)]
    #[case(&["gzip;level=9"], None)]
    #[case(&[",,;,=;q"], None)]
    fn the_client_chooses(#[case] accepted: &[&'static str], #[case] expected: Option<Coding>) {
        let headers = headers(&ACCEPT_ENCODING, accepted);
        assert_eq!(Coding::accepted(&headers), expected);
    }

    #[rstest]
    #[case(&[], Some(None))]
    #[case(&["identity"], Some(None))]
    #[case(&[""], Some(None))]
    #[case(&[" Gzip "], Some(Some(Coding::Gzip)))]
    #[case(&["identity", "deflate"], Some(Some(Coding::Deflate)))]
    #[case(&["gzip, gzip"], None)]
    #[case(&["gzip", "gzip"], None)]
    #[case(&["br"], None)]
    #[case(&["é"], None)]
    fn one_known_coding_is_understood(
        #[case] given: &[&'static str],
        #[case] expected: Option<Option<Coding>>,
    ) {
        let values = given.iter().map(|value| http::HeaderValue::from_str(value));
        let headers = values
            .map(|value| (CONTENT_ENCODING, value.unwrap()))
            .collect();
        let coding = Coding::of_body(&headers);
        assert_eq!(coding, expected.ok_or(Error::ContentEncoding));
    }
}
