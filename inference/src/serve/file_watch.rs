//! Notices that files have changed.

use super::shutdown::Signals;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;
use tokio::signal::unix::Signal;
use tokio::time::timeout;

/// Time between two looks at the files.
const LOOK: Duration = Duration::from_secs(2);

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fingerprint {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

/// Files whose present state was read already, or is about to be.
#[derive(Debug)]
pub struct FileWatch {
    paths: Vec<String>,
    read: Vec<Option<Fingerprint>>,
    hangup: Signal,
}

impl FileWatch {
    /// The files at `paths`, which are to be read next. Where there are none, nothing changes.
    ///
    /// # Errors
    /// If the operating system does not let SIGHUP be listened to.
    pub fn new(paths: impl IntoIterator<Item = String>) -> io::Result<Self> {
        let paths: Vec<_> = paths.into_iter().collect();
        let mut watch = Self {
            read: vec![None; paths.len()],
            paths,
            hangup: Signals::hangup()?,
        };
        watch.read = watch.look();
        Ok(watch)
    }

    /// Done once the files are to be read again: because one is another now and none is still
    /// being written, or because of SIGHUP.
    pub async fn news(&mut self) {
        let mut before = self.read.clone();
        loop {
            let told = timeout(LOOK, self.hangup.recv()).await.is_ok();
            let now = self.look();
            if told || (now != self.read && now == before) {
                self.read = now;
                return;
            }
            before = now;
        }
    }

    /// A file that is gone has not changed: a volume may be away for a moment.
    fn look(&self) -> Vec<Option<Fingerprint>> {
        let files = self.paths.iter().zip(&self.read);
        files
            .map(|(path, read)| fingerprint(path).or(*read))
            .collect()
    }
}

fn fingerprint(path: &str) -> Option<Fingerprint> {
    let file = fs::metadata(path).ok()?;
    Some(Fingerprint {
        device: file.dev(),
        inode: file.ino(),
        size: file.size(),
        modified: (file.mtime(), file.mtime_nsec()),
    })
}
