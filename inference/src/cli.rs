//! Command line → verbs.

use crate::artifact::{Algorithm, Manifest, Task};
use crate::evaluate::evaluate;
use crate::load::{self, LoadedModel};
use crate::load_generator::{self, Generator, pace::Progress};
use crate::names::{is_name, listed};
use crate::predict;
use crate::report::Readable;
use crate::serve;
use crate::serve::access::key_file;
use crate::table::Table;
use crate::train::{self, Options, Step, parameters, save};
use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use contract::config::ModelConfig;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Serves one tabular model with monitoring built in, and trains such models.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    /// What to do; without it the built-in diabetes model is served.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve a model over HTTP.
    Serve(Box<serve::Args>),
    /// Train a model on a CSV file and write a model file.
    Train(TrainArgs),
    /// Report how well a model does on a CSV file with known answers.
    Evaluate(EvaluateArgs),
    /// Predict the rows of a CSV file, one JSON object a line.
    Predict(PredictArgs),
    /// Ask a running server for predictions, again and again, and report how it answers.
    Load(Box<load_generator::Args>),
    /// Make a random API key, and its line for the file that `serve --api-keys` reads.
    ApiKey(ApiKeyArgs),
}

/// Of `train`.
#[derive(Debug, Args)]
#[command(after_long_help = parameters::help())]
pub struct TrainArgs {
    /// CSV file with a header line.
    #[arg(long)]
    data: PathBuf,
    /// Column to predict; all others are features.
    #[arg(long)]
    target: String,
    /// How to predict it.
    #[arg(long)]
    algorithm: Algorithm,
    /// What to predict. By default classes if the target has text or at most 10 distinct whole
    /// numbers, else a number.
    #[arg(long)]
    task: Option<Task>,
    /// Name of the model; by default that of the file without its endings.
    #[arg(long, value_parser = parse_name)]
    name: Option<String>,
    /// Version of the model; by default the server takes the first 8 characters of the sha256.
    #[arg(long, value_parser = parse_name)]
    model_version: Option<String>,
    /// Seed of the split and of the algorithm.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Share of the rows held out for the report, 0.01 to 0.9.
    #[arg(long, default_value_t = 0.2, value_parser = parse_share)]
    test_share: f64,
    /// Fill empty cells with the median of their column; without it they are errors.
    #[arg(long)]
    impute_missing: bool,
    /// Hyper-parameter of the algorithm; may be repeated. --help lists all of them.
    #[arg(long = "param", value_name = "KEY=VALUE", value_parser = parse_parameter)]
    parameters: Vec<(String, String)>,
    /// Model file to write; gzip if it ends in .gz.
    #[arg(long)]
    out: PathBuf,
}

/// Of `evaluate`.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// Model file or its URL; without it the built-in diabetes model.
    #[arg(long, value_name = "FILE")]
    model: Option<String>,
    /// CSV file with a header line, the features and the target.
    #[arg(long)]
    data: PathBuf,
}

/// Of `predict`.
#[derive(Debug, Args)]
pub struct PredictArgs {
    /// Model file or its URL; without it the built-in diabetes model.
    #[arg(long, value_name = "FILE")]
    model: Option<String>,
    /// CSV file with a header line and the features in any order; - reads standard input.
    #[arg(long)]
    data: PathBuf,
}

/// Of `api-key`.
#[derive(Debug, Args)]
pub struct ApiKeyArgs {
    /// Who gets the key, as metrics say it.
    #[arg(long, default_value = "default", value_parser = parse_key_id)]
    id: String,
}

/// Does what the command line says.
///
/// # Errors
/// A sentence for a person.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli
        .command
        .unwrap_or_else(|| Command::Serve(Box::default()))
    {
        // Its failures are in the log already.
        Command::Serve(args) => {
            let served = serve::run(*args);
            return Ok(served.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS));
        }
        Command::Train(args) => train(args)?,
        Command::Evaluate(args) => print_evaluation(&args)?,
        Command::Predict(args) => print_predictions(&args)?,
        Command::Load(args) => return generate_load(*args),
        Command::ApiKey(args) => print_api_key(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn train(args: TrainArgs) -> anyhow::Result<()> {
    let (data, out) = (args.data.clone(), args.out.clone());
    let derived = args.task.is_none();
    let options = args.options()?;
    save::check(&out)?;
    let table = Table::open(&data)?;
    let bar = progress_bar(Step::ALL.len(), "{bar:24} {pos}/{len} {msg}");
    let file = train::train(&table, &options, |step| {
        bar.set_message(step.as_str());
        bar.inc(1);
    })?;
    bar.finish_and_clear();
    let gzip = out.extension().is_some_and(|ending| ending == "gz");
    let bytes = save::encode(&file, gzip)?;
    let load = ModelConfig::default();
    load::from_bytes(&bytes, &load).context("the trained model does not load")?;
    save::write(&out, &bytes)?;
    print_training(&file.manifest, derived)?;
    let mut stdout = io::stdout().lock();
    writeln!(
        stdout,
        "\nfile      {} ({} bytes)",
        out.display(),
        bytes.len()
    )?;
    writeln!(stdout, "sha256    {}", save::sha256(&bytes))?;
    Ok(())
}

impl TrainArgs {
    fn options(self) -> anyhow::Result<Options> {
        Ok(Options {
            name: match self.name {
                Some(name) => name,
                None => name_of(&self.out)?,
            },
            target: self.target,
            algorithm: self.algorithm,
            task: self.task,
            version: self.model_version,
            seed: self.seed,
            test_share: self.test_share,
            impute_missing: self.impute_missing,
            parameters: self.parameters,
        })
    }
}

fn print_training(manifest: &Manifest, derived: bool) -> io::Result<()> {
    let training = &manifest.training;
    let how = if derived {
        " (derived from the target)"
    } else {
        ""
    };
    let mut out = io::stdout().lock();
    writeln!(out, "task      {}{how}", manifest.task)?;
    writeln!(out, "algorithm {}", manifest.algorithm)?;
    writeln!(
        out,
        "rows      {} trained on, {} held out",
        training.rows, training.test_rows
    )?;
    writeln!(out, "features  {}", manifest.features.len())?;
    let (report, classes) = (&training.report, manifest.classes.as_slice());
    write!(out, "{}", Readable { report, classes })
}

/// Shown on a terminal only.
fn progress_bar(steps: usize, template: &str) -> ProgressBar {
    let bar = ProgressBar::new(steps as u64);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn print_evaluation(args: &EvaluateArgs) -> anyhow::Result<()> {
    let model = open(args.model.clone())?;
    let table = Table::open(&args.data)?;
    let report = &evaluate(&model, &table)?;
    let classes = model.manifest.classes.as_slice();
    let mut out = io::stdout().lock();
    writeln!(out, "model     {} version {}", model.name, model.version)?;
    writeln!(out, "rows      {}", table.rows())?;
    write!(out, "{}", Readable { report, classes })?;
    Ok(())
}

fn print_predictions(args: &PredictArgs) -> anyhow::Result<()> {
    let model = open(args.model.clone())?;
    let table = if args.data == Path::new("-") {
        Table::read(io::stdin().lock())?
    } else {
        Table::open(&args.data)?
    };
    let batch = predict::rows(&model.manifest, &table)?;
    print_ignored(predict::ignored(&model.manifest, &table))?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    for row in predict::predict(&model, &batch) {
        writeln!(out, "{row}")?;
    }
    out.flush()?;
    Ok(())
}

fn print_ignored<'a>(columns: impl IntoIterator<Item = &'a str>) -> io::Result<()> {
    let columns = listed(columns);
    match columns.is_empty() {
        true => Ok(()),
        false => writeln!(io::stderr(), "ignored columns: {columns}"),
    }
}

/// Fails if nothing was answered as it should be.
fn generate_load(args: load_generator::Args) -> anyhow::Result<ExitCode> {
    let json = args.json;
    let generator = Generator::prepare(args)?;
    print_ignored(generator.ignored().iter().map(String::as_str))?;
    let bar = progress_bar(100, "{bar:24} {percent}% {msg}");
    let summary = generator.run(|progress| show(&bar, progress));
    bar.finish_and_clear();
    let mut out = io::stdout().lock();
    match json {
        true => writeln!(out, "{}", serde_json::to_string_pretty(&summary)?)?,
        false => write!(out, "{summary}")?,
    }
    Ok(match summary.is_success() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn show(bar: &ProgressBar, progress: Progress) {
    bar.set_position((progress.share * 100.0) as u64);
    let (requests, unanswered) = (
        HumanCount(progress.requests),
        HumanCount(progress.unanswered),
    );
    let speed = progress.per_second;
    bar.set_message(format!(
        "{requests} requests, {speed:.0}/s, {unanswered} unanswered"
    ));
}

fn print_api_key(args: &ApiKeyArgs) -> anyhow::Result<()> {
    let key = key_file::random_key()?;
    let mut out = io::stdout().lock();
    writeln!(out, "key       {key}")?;
    writeln!(out, "line      {}", key_file::line(&args.id, &key))?;
    Ok(())
}

fn open(model: Option<String>) -> anyhow::Result<LoadedModel> {
    let source = model.map(load::source_of).unwrap_or_default();
    let config = ModelConfig {
        source,
        ..ModelConfig::default()
    };
    Ok(load::load(&config)?)
}

/// `models/iris.json.gz` → `iris`
fn name_of(out: &Path) -> anyhow::Result<String> {
    let file = out
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let stem = file.strip_suffix(".gz").unwrap_or(file);
    let stem = stem.strip_suffix(".json").unwrap_or(stem);
    if !is_name(stem) {
        bail!("{stem:?} cannot name a model: give a --name of letters, digits, '.', '_' and '-'");
    }
    Ok(stem.to_owned())
}

fn parse_name(text: &str) -> Result<String, String> {
    if is_name(text) {
        return Ok(text.to_owned());
    }
    Err("expected 1 to 128 letters, digits, '.', '_' or '-'".to_owned())
}

fn parse_key_id(text: &str) -> Result<String, String> {
    if key_file::is_key_id(text) {
        return Ok(text.to_owned());
    }
    Err(key_file::LineProblem::Id.to_string())
}

fn parse_share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok();
    let admitted = share.filter(|share| (0.01..=0.9).contains(share));
    admitted.ok_or_else(|| "expected a number from 0.01 to 0.9".to_owned())
}

fn parse_parameter(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = pair.ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}
