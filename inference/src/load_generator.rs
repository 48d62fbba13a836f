//! Asks a server for predictions as fast or as regularly as wanted, and sums up its answers.
//!
//! ```text
//! CSV ─table→ Table ─rows→ Rows ─request→ Request ─transport→ Answer ─tally→ Tally ─→ Summary
//!                                            ▲
//!                       pace: closed_loop, open_loop
//! ```

pub mod args;
pub mod closed_loop;
pub mod open_loop;
pub mod pace;
pub mod request;
pub mod rows;
pub mod session;
pub mod summary;
pub mod tally;
pub mod transport;

pub use args::Args;
pub use summary::Summary;

use crate::table::{Table, TableError};
use args::Protocol;
use hdrhistogram::CreationError;
use pace::{Pace, Progress};
use request::Mix;
use rows::{Rows, RowsError};
use session::Session;
use std::io;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tally::Tally;
use tokio::runtime::{Builder, Runtime};
use transport::grpc::{self, Grpc};
use transport::rest::{self, Rest};
use transport::{Client, DescribeError, Served};

/// Time between two reports of progress.
const TICK: Duration = Duration::from_millis(100);

/// Why not a single request can be made.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// Nothing to send.
    #[error(
        "--data is missing: the server does not give rows away, so they come from a CSV file with \
         the model's features, such as --data examples/data/diabetes.csv for the built-in model"
    )]
    NoData,
    /// A file without the rows that the model needs.
    #[error("cannot use {path}")]
    Data {
        /// The file, or `-`.
        path: String,
        /// What is wrong with it.
        source: RowsError,
    },
    /// A server that does not answer, or does not say what it serves.
    #[error("cannot ask the server for its model")]
    Server(#[from] DescribeError),
    /// No threads.
    #[error("cannot start threads")]
    Threads(#[from] io::Error),
    /// No histogram of these bounds.
    #[error("cannot count latencies")]
    Latencies(#[from] CreationError),
}

/// All that is needed to make requests.
#[derive(Debug)]
pub struct Generator {
    args: Args,
    runtime: Runtime,
    served: Served,
    session: Arc<Session>,
    ignored: Vec<String>,
}

impl Generator {
    /// Reads the rows and asks the server which of their columns its model takes.
    ///
    /// # Errors
    /// [`PrepareError`], which names the option, the file or the server in the way.
    pub fn prepare(args: Args) -> Result<Self, PrepareError> {
        let path = args.data.as_deref().ok_or(PrepareError::NoData)?;
        let unusable = |source| PrepareError::Data {
            path: path.display().to_string(),
            source,
        };
        let table = read(path).map_err(|error| unusable(error.into()))?;
        let runtime = Builder::new_multi_thread().enable_all().build()?;
        let served = runtime.block_on(describe(&args))?;
        let rows = Rows::new(&table, args.target.as_deref(), &served.features);
        let rows = rows.map_err(unusable)?;
        let ignored = rows.ignored.clone();
        let mix = Mix::new(rows, args.blend()).map_err(unusable)?;
        let session = Session::new(mix, args.timeout, Tally::new()?);
        Ok(Self {
            args,
            runtime,
            served,
            session: Arc::new(session),
            ignored,
        })
    }

    /// Columns of the data that the model does not take.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// Makes requests until the limit is reached or Ctrl-C is pressed, and calls `progress` a few
    /// times a second. Requests that are under way at the limit are waited for; at Ctrl-C they are
    /// dropped.
    pub fn run(self, progress: impl FnMut(Progress)) -> Summary {
        let begin = Instant::now();
        let interrupted = self.runtime.block_on(self.drive(begin, progress));
        let seconds = begin.elapsed().as_secs_f64();
        let planned = match self.args.pace() {
            Pace::Open(schedule) if !interrupted => schedule.count(self.args.limit()),
            Pace::Open(_) | Pace::Closed { .. } => 0,
        };
        // The thread that keeps time may be asleep until a request that is no longer wanted.
        self.runtime.shutdown_background();
        let tally = self.session.tally();
        Summary::new(&tally, seconds, planned, interrupted)
    }

    /// Says whether Ctrl-C was pressed.
    async fn drive(&self, begin: Instant, mut progress: impl FnMut(Progress)) -> bool {
        let limit = self.args.limit();
        let mut requests = pin!(self.requests());
        let mut interrupt = pin!(tokio::signal::ctrl_c());
        let mut ticks = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                () = &mut requests => return false,
                Ok(()) = &mut interrupt => return true,
                _ = ticks.tick() => {
                    let now = self.session.tally().progress(limit, begin.elapsed());
                    progress(now);
                }
            }
        }
    }

    async fn requests(&self) {
        let url = self.args.url.clone();
        match self.args.protocol {
            Protocol::Predict => self.requests_by(Rest::predict(url, &self.served)).await,
            Protocol::V2 => self.requests_by(Rest::v2(url, &self.served)).await,
            Protocol::Grpc => self.requests_by(Grpc::new(url, &self.served)).await,
        }
    }

    async fn requests_by(&self, client: impl Client) {
        let (session, limit) = (Arc::clone(&self.session), self.args.limit());
        match self.args.pace() {
            Pace::Closed { connections } => {
                closed_loop::run(session, client, connections, limit).await;
            }
            Pace::Open(schedule) => open_loop::run(session, client, schedule, limit).await,
        }
    }
}

async fn describe(args: &Args) -> Result<Served, DescribeError> {
    match args.protocol {
        Protocol::Predict | Protocol::V2 => rest::describe(&args.url, args.timeout).await,
        Protocol::Grpc => grpc::describe(&args.url, args.timeout).await,
    }
}

fn read(path: &Path) -> Result<Table, TableError> {
    match path == Path::new("-") {
        true => Table::read(io::stdin().lock()),
        false => Table::open(path),
    }
}
