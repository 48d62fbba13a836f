//! Whether the parts of a model file agree with each other, and its names can be label values.

use super::LoadError;
use crate::artifact::{Feature, Golden, GoldenOutput, Manifest, ModelFile, Profile, Report, Task};
use crate::names::{self, NameError};
use contract::labels::PREDICTION_FEATURE;
use contract::limits::{LONGEST_NAME, MOST_BINS, MOST_CLASSES};

/// Golden rows of a model: each may take as long as looking at all of the file.
const MOST_GOLDEN_ROWS: usize = 100;

type Checked = Result<(), LoadError>;

fn ensure(holds: bool, message: impl FnOnce() -> String) -> Checked {
    if holds {
        return Ok(());
    }
    Err(LoadError::corrupt(message()))
}

/// Checks all but the estimator, which its engine checks.
pub(super) fn file(file: &ModelFile) -> Checked {
    let manifest = &file.manifest;
    names(manifest)?;
    classes(manifest)?;
    features(manifest)?;
    report(manifest)?;
    reference(manifest)?;
    let rows = file.golden.len();
    ensure((1..=MOST_GOLDEN_ROWS).contains(&rows), || {
        format!("{rows} golden rows, expected 1 to {MOST_GOLDEN_ROWS}")
    })?;
    let mut rows = file.golden.iter().enumerate();
    rows.try_for_each(|(row, golden_row)| golden(manifest, row, golden_row))
}

fn names(manifest: &Manifest) -> Checked {
    let name = Some(&manifest.name).into_iter().chain(&manifest.version);
    for name in name {
        ensure(names::is_name(name), || {
            format!(
                "{:?} is no name: 1 to {LONGEST_NAME} letters, digits, '.', '_' or '-' are expected",
                names::shortened(name)
            )
        })?;
    }
    named(names::target(&manifest.target))
}

fn named(names: Result<(), NameError>) -> Checked {
    names.map_err(|error| LoadError::corrupt(error.to_string()))
}

fn classes(manifest: &Manifest) -> Checked {
    let found = manifest.classes.len();
    let admitted = match manifest.task {
        Task::Classification => 2..=MOST_CLASSES,
        Task::Regression => 0..=0,
    };
    ensure(admitted.contains(&found), || {
        let (least, most) = admitted.clone().into_inner();
        format!("{found} classes, {} has {least} to {most}", manifest.task)
    })?;
    let classes: Vec<&str> = manifest.classes.iter().map(String::as_str).collect();
    named(names::classes(&classes))
}

fn features(manifest: &Manifest) -> Checked {
    let features = manifest.features.iter();
    let features: Vec<&str> = features.map(|feature| feature.name.as_str()).collect();
    named(names::features(&features))?;
    manifest.features.iter().try_for_each(feature)
}

fn feature(feature: &Feature) -> Checked {
    let name = &feature.name;
    let numbers = [feature.min, feature.max, feature.fill.unwrap_or_default()];
    ensure(numbers.iter().all(|number| number.is_finite()), || {
        format!("feature {name:?}: range or fill is not finite")
    })?;
    ensure(feature.min <= feature.max, || {
        format!(
            "feature {name:?}: the range {} to {} is empty",
            feature.min, feature.max
        )
    })?;
    ensure((0.0..=1.0).contains(&feature.missing), || {
        format!(
            "feature {name:?}: a share of {} is missing",
            feature.missing
        )
    })
}

fn report(manifest: &Manifest) -> Checked {
    let classes = manifest.classes.len();
    let agrees = match (&manifest.training.report, manifest.task) {
        (Report::Classification(report), Task::Classification) => {
            report.precision.len() == classes
                && report.recall.len() == classes
                && report.confusion.len() == classes
                && report.confusion.iter().all(|row| row.len() == classes)
        }
        (Report::Regression(_), Task::Regression) => true,
        _ => false,
    };
    ensure(agrees, || {
        "the training report does not fit the task and its classes".to_owned()
    })
}

fn reference(manifest: &Manifest) -> Checked {
    let profiles = &manifest.reference.features;
    ensure(profiles.len() == manifest.features.len(), || {
        format!(
            "{} reference profiles for {} features",
            profiles.len(),
            manifest.features.len()
        )
    })?;
    for (feature, profile) in manifest.features.iter().zip(profiles) {
        check_profile(&feature.name, profile)?;
    }
    check_profile(PREDICTION_FEATURE, &manifest.reference.prediction)
}

fn check_profile(feature: &str, profile: &Profile) -> Checked {
    let of = || format!("reference profile of {feature:?}");
    let Profile { edges, shares } = profile;
    ensure(shares.len() <= MOST_BINS, || {
        format!(
            "{}: {} bins, at most {MOST_BINS} are expected",
            of(),
            shares.len()
        )
    })?;
    ensure(shares.len() == edges.len() + 1, || {
        format!(
            "{}: {} shares for {} edges",
            of(),
            shares.len(),
            edges.len()
        )
    })?;
    let rising = edges.windows(2).all(|pair| pair[0] < pair[1]);
    ensure(rising, || format!("{}: the edges do not rise", of()))?;
    ensure(
        edges.iter().all(|edge| Profile::edge(*edge) == *edge),
        || {
            format!(
                "{}: an edge is not 0 or of a size from 1e-100 to 1e100",
                of()
            )
        },
    )?;
    let sum: f64 = shares.iter().sum();
    let admitted = shares.iter().all(|share| (0.0..=1.0).contains(share));
    ensure(admitted && (sum - 1.0).abs() < 1e-6, || {
        format!("{}: the shares sum to {sum}, expected 1", of())
    })
}

fn golden(manifest: &Manifest, row: usize, golden: &Golden) -> Checked {
    let found = golden.input.len();
    ensure(found == manifest.features.len(), || {
        format!(
            "golden row {row} has {found} values for {} features",
            manifest.features.len()
        )
    })?;
    let classes = manifest.classes.len();
    let agrees = match (&golden.output, manifest.task) {
        (GoldenOutput::Value(_), Task::Regression) => true,
        (
            GoldenOutput::Class {
                label,
                probabilities,
            },
            Task::Classification,
        ) => {
            *label < classes
                && probabilities
                    .as_ref()
                    .is_none_or(|all| all.len() == classes)
        }
        _ => false,
    };
    ensure(agrees, || {
        format!("golden row {row}: the output does not fit the task and its classes")
    })
}
