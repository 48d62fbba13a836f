//! A folder with a Secret's keys, a file each, as the kubelet mounts it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use std::fs::DirEntry;
use std::io;
use std::path::PathBuf;
use url::Url;

/// Key of the hosts that credentials may be shown to, as `minio.storage.svc *.example.com`.
const HOSTS: &str = "allowed-hosts";
/// Key of the certificates to trust instead of the public ones.
const AUTHORITY: &str = "ca.crt";

/// What is secret about a source; nothing where it is public.
#[derive(Debug)]
pub(super) struct Secrets(Option<PathBuf>);

/// Why a secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub(in crate::load) enum SecretsError {
    #[error(
        "there is no Secret in {folder}: is it in the namespace of the model, and has it any keys?"
    )]
    Missing { folder: String },
    #[error("cannot read {file}")]
    Unreadable { file: String, source: io::Error },
    #[error(
        "{folder} does not say that its credentials may be shown to {host}: whoever makes the Secret names the hosts in its key allowed-hosts, as '{host} *.example.com'"
    )]
    NotFor { folder: String, host: String },
    #[error("{folder} has {present}, but not {absent}, which goes with it")]
    Half {
        folder: String,
        present: &'static str,
        absent: &'static str,
    },
}

impl Secrets {
    /// Those in `folder`, which must be there if it is named.
    pub(super) fn in_folder(folder: Option<&str>) -> Result<Self, SecretsError> {
        let Some(folder) = folder else {
            return Ok(Self(None));
        };
        let path = PathBuf::from(folder);
        let mut entries = path.read_dir().into_iter().flatten().flatten();
        // Where there is no Secret, the kubelet leaves what it manages the folder with.
        let is_key = |entry: &DirEntry| !entry.file_name().as_encoded_bytes().starts_with(b"..");
        match entries.any(|entry| is_key(&entry)) {
            true => Ok(Self(Some(path))),
            false => Err(SecretsError::Missing {
                folder: folder.to_owned(),
            }),
        }
    }

    /// Whether what is secret may be shown to the host of `url`: else whoever may name a Secret and a
    /// URL could read any Secret.
    pub(super) fn check(&self, url: &Url) -> Result<(), SecretsError> {
        if self.0.is_none() {
            return Ok(());
        }
        let host = url.host_str().unwrap_or_default();
        let allowed = self.get(HOSTS)?.unwrap_or_default();
        let mut allowed = allowed
            .split([' ', ',', '\n'])
            .filter(|one| !one.is_empty());
        match allowed.any(|pattern| is_like(host, pattern)) {
            true => Ok(()),
            false => Err(SecretsError::NotFor {
                folder: self.folder(),
                host: host.to_owned(),
            }),
        }
    }

    /// The value of `key` without the line's end that editors leave; None if there is none.
    pub(super) fn get(&self, key: &str) -> Result<Option<String>, SecretsError> {
        let Some(file) = self.0.as_ref().map(|folder| folder.join(key)) else {
            return Ok(None);
        };
        match std::fs::read_to_string(&file) {
            Ok(text) => Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(SecretsError::Unreadable {
                file: file.display().to_string(),
                source,
            }),
        }
    }

    /// The values of two keys, which must both be there, or neither.
    pub(super) fn pair(
        &self,
        first: &'static str,
        second: &'static str,
    ) -> Result<Option<(String, String)>, SecretsError> {
        let half = |present, absent| SecretsError::Half {
            folder: self.folder(),
            present,
            absent,
        };
        match (self.get(first)?, self.get(second)?) {
            (Some(first), Some(second)) => Ok(Some((first, second))),
            (None, None) => Ok(None),
            (Some(_), None) => Err(half(first, second)),
            (None, Some(_)) => Err(half(second, first)),
        }
    }

    /// The header that says who asks: by a name and a password, or by a token.
    pub(super) fn authorization(
        &self,
        name: &'static str,
        password: &'static str,
        token: &str,
    ) -> Result<Option<String>, SecretsError> {
        if let Some((name, password)) = self.pair(name, password)? {
            let both = BASE64_STANDARD.encode(format!("{name}:{password}"));
            return Ok(Some(format!("Basic {both}")));
        }
        Ok(self.get(token)?.map(|token| format!("Bearer {token}")))
    }

    /// The certificates to trust instead of the public ones, as PEM.
    pub(super) fn authority(&self) -> Result<Option<String>, SecretsError> {
        self.get(AUTHORITY)
    }

    fn folder(&self) -> String {
        let folder = self.0.as_ref();
        folder.map_or_else(String::new, |folder| folder.display().to_string())
    }
}

/// Whether a pattern names a host: `*.example.com` all that are below that.
fn is_like(host: &str, pattern: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(end) => end.starts_with('.') && end.len() > 1 && host.ends_with(end),
        None => host.eq_ignore_ascii_case(pattern),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn header(files: &[(&str, &str)]) -> Result<Option<String>, SecretsError> {
        let folder = folder(files);
        let secrets = Secrets::in_folder(folder.path().to_str())?;
        secrets.authorization("username", "password", "token")
    }

    #[test]
    fn a_name_with_a_password_or_a_token_says_who_asks() {
        let basic = header(&[("username", "me\n"), ("password", "pw\n")]).unwrap();
        assert_eq!(basic.as_deref(), Some("Basic bWU6cHc="));
        let bearer = header(&[("token", "t")]).unwrap();
        assert_eq!(bearer.as_deref(), Some("Bearer t"));
        assert_eq!(header(&[("ca.crt", "")]).unwrap(), None);
    }

    #[rstest]
    #[case("minio.storage.svc", true)]
    #[case("models.example.com", true)]
    #[case("MODELS.EXAMPLE.COM", true)]
    #[case("example.com", false)]
    #[case("evil-example.com", false)]
    #[case("minio.storage.svc.evil.com", false)]
    #[case("[fd00::1]", true)]
    fn credentials_are_for_the_hosts_that_the_secret_names(#[case] host: &str, #[case] may: bool) {
        let folder = folder(&[(
            HOSTS,
            "minio.storage.svc, *.example.com\n[fd00::1] * *. .com\n",
        )]);
        let secrets = Secrets::in_folder(folder.path().to_str()).unwrap();
        let url = Url::parse(&format!("https://{host}/a")).unwrap();
        assert_eq!(secrets.check(&url).is_ok(), may);
    }

    #[test]
    fn a_secret_that_names_no_host_is_shown_to_nobody() {
        let url = Url::parse("https://example.com/a").unwrap();
        let folder = folder(&[("token", "t")]);
        let secrets = Secrets::in_folder(folder.path().to_str()).unwrap();
        assert!(secrets.check(&url).is_err());
        assert!(Secrets::in_folder(None).unwrap().check(&url).is_ok());
    }

    #[test]
    fn half_of_a_pair_is_refused() {
        let error = header(&[("username", "me")]).unwrap_err().to_string();
        assert!(error.ends_with("has username, but not password, which goes with it"));
    }

    #[test]
    fn a_folder_without_files_is_a_missing_secret() {
        for files in [&[][..], &[("..data", "")]] {
            let error = header(files).unwrap_err();
            assert!(matches!(error, SecretsError::Missing { .. }));
        }
        let error = Secrets::in_folder(Some("/nowhere/at/all")).unwrap_err();
        assert!(matches!(error, SecretsError::Missing { .. }));
    }
}
