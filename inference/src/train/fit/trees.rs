//! Hyper-parameters of trees, as smartcore takes them.

use crate::train::parameters::{Forest, Tree};
use smartcore::ensemble::extra_trees_regressor::ExtraTreesRegressorParameters;
use smartcore::ensemble::random_forest_classifier::RandomForestClassifierParameters;
use smartcore::ensemble::random_forest_regressor::RandomForestRegressorParameters;
use smartcore::tree::decision_tree_classifier::{DecisionTreeClassifierParameters, SplitCriterion};
use smartcore::tree::decision_tree_regressor::DecisionTreeRegressorParameters;
use std::num::{NonZeroU16, NonZeroUsize};

impl Tree {
    pub(super) fn classifier(self, seed: u64) -> DecisionTreeClassifierParameters {
        DecisionTreeClassifierParameters {
            criterion: SplitCriterion::Gini,
            max_depth: self.max_depth.map(NonZeroU16::get),
            min_samples_leaf: self.min_samples_leaf.get(),
            min_samples_split: self.min_samples_split.get(),
            seed: Some(seed),
        }
    }

    pub(super) fn regressor(self, seed: u64) -> DecisionTreeRegressorParameters {
        DecisionTreeRegressorParameters {
            max_depth: self.max_depth.map(NonZeroU16::get),
            min_samples_leaf: self.min_samples_leaf.get(),
            min_samples_split: self.min_samples_split.get(),
            seed: Some(seed),
        }
    }
}

impl Forest {
    pub(super) fn classifier(self, seed: u64) -> RandomForestClassifierParameters {
        RandomForestClassifierParameters {
            criterion: SplitCriterion::Gini,
            max_depth: self.max_depth.map(NonZeroU16::get),
            min_samples_leaf: self.min_samples_leaf.get(),
            min_samples_split: self.min_samples_split.get(),
            n_trees: self.trees.get(),
            m: self.max_features.map(NonZeroUsize::get),
            keep_samples: false,
            seed,
        }
    }

    pub(super) fn regressor(self, seed: u64) -> RandomForestRegressorParameters {
        RandomForestRegressorParameters {
            max_depth: self.max_depth.map(NonZeroU16::get),
            min_samples_leaf: self.min_samples_leaf.get(),
            min_samples_split: self.min_samples_split.get(),
            n_trees: self.trees.get().into(),
            m: self.max_features.map(NonZeroUsize::get),
            keep_samples: false,
            seed,
        }
    }

    pub(super) fn extra_trees(self, seed: u64) -> ExtraTreesRegressorParameters {
        ExtraTreesRegressorParameters {
            max_depth: self.max_depth.map(NonZeroU16::get),
            min_samples_leaf: self.min_samples_leaf.get(),
            min_samples_split: self.min_samples_split.get(),
            n_trees: self.trees.get().into(),
            m: self.max_features.map(NonZeroUsize::get),
            keep_samples: false,
            seed,
        }
    }
}
