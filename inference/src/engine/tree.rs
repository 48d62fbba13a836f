//! Trees and forests, flattened: 16-byte nodes with siblings side by side, and leaves that lead to
//! themselves, so that a step needs no branch and several walks overlap.

mod splits;

use super::{Defect, Shape, class_indices, fields, finite};
use crate::model::{Batch, Model, Predictions};
use serde::Deserialize;
use splits::{NodeFields, Split, splits};
use std::collections::VecDeque;

/// Walks side by side: enough to hide the latency of memory, few enough for the registers.
const LANES: usize = 8;

/// One step: to `left`, or to its right sibling if the value exceeds the threshold.
#[derive(Debug, Clone, Copy)]
struct Node {
    threshold: f64,
    left: u32,
    feature: u16,
    /// 1 for an inner node, 0 for a leaf.
    step: u16,
}

#[derive(Debug, Clone, Copy)]
struct Tree {
    root: u32,
    /// Steps from the root to the deepest leaf.
    depth: u32,
}

/// Trees in one array; a node's output is that of the leaf, or unused.
#[derive(Debug)]
struct Forest<Output> {
    nodes: Vec<Node>,
    outputs: Vec<Output>,
    trees: Vec<Tree>,
}

impl<Output: Copy> Forest<Output> {
    const fn new() -> Self {
        Self {
            nodes: Vec::new(),
            outputs: Vec::new(),
            trees: Vec::new(),
        }
    }

    fn step(&self, at: u32, row: &[f64]) -> u32 {
        let node = &self.nodes[at as usize];
        let stay = u16::from(row[usize::from(node.feature)] <= node.threshold);
        node.left + u32::from(node.step & !stay)
    }

    fn output(&self, at: u32) -> Output {
        self.outputs[at as usize]
    }

    /// Calls `visit` with the output of every tree for one row, in the order of the trees.
    fn outputs_of(&self, row: &[f64], mut visit: impl FnMut(Output)) {
        for trees in self.trees.chunks(LANES) {
            let mut at = [0_u32; LANES];
            for (at, tree) in at.iter_mut().zip(trees) {
                *at = tree.root;
            }
            let depth = trees.iter().map(|tree| tree.depth).max().unwrap_or(0);
            let walks = &mut at[..trees.len()];
            for _ in 0..depth {
                for at in &mut *walks {
                    *at = self.step(*at, row);
                }
            }
            for at in walks {
                visit(self.output(*at));
            }
        }
    }

    /// Calls `visit` with row and output, tree by tree: a tree stays in the cache for all rows.
    fn outputs_by_tree(&self, batch: &Batch, mut visit: impl FnMut(usize, Output)) {
        let columns = batch.columns();
        for tree in &self.trees {
            for (chunk, rows) in batch.values().chunks(LANES * columns).enumerate() {
                // Lanes without a row of their own walk with the first: cheaper than to ask.
                let mut lanes = [&rows[..columns]; LANES];
                for (lane, row) in lanes.iter_mut().zip(rows.chunks_exact(columns)) {
                    *lane = row;
                }
                let mut at = [tree.root; LANES];
                for _ in 0..tree.depth {
                    for (at, row) in at.iter_mut().zip(lanes) {
                        *at = self.step(*at, row);
                    }
                }
                for (lane, at) in at[..rows.len() / columns].iter().enumerate() {
                    visit(chunk * LANES + lane, self.output(*at));
                }
            }
        }
    }

    /// Calls `visit` with row and output; per row in the order of the trees.
    fn visit(&self, batch: &Batch, mut visit: impl FnMut(usize, Output)) {
        if batch.rows() == 1 {
            self.outputs_of(batch.values(), |output| visit(0, output));
        } else {
            self.outputs_by_tree(batch, visit);
        }
    }
}

/// Every tree votes for a class; the most votes win, the lowest class among equals.
#[derive(Debug)]
struct Vote {
    /// Of class indexes.
    forest: Forest<u32>,
    classes: usize,
}

impl Model for Vote {
    fn predict(&self, batch: &Batch) -> Predictions {
        let mut votes = vec![0_u32; batch.rows() * self.classes];
        self.forest.visit(batch, |row, class| {
            votes[row * self.classes + class as usize] += 1;
        });
        let rows = votes.chunks_exact(self.classes);
        let labels = rows.map(most_votes).collect();
        let trees = self.forest.trees.len() as f64;
        let shares = votes.iter().map(|votes| f64::from(*votes) / trees);
        Predictions::Classes {
            labels,
            probabilities: Some(shares.collect()),
        }
    }
}

/// The class with the most votes, the lowest among equals.
fn most_votes(votes: &[u32]) -> usize {
    let larger = |best: usize, class: usize| match votes[class] > votes[best] {
        true => class,
        false => best,
    };
    (0..votes.len()).fold(0, larger)
}

/// Mean of the trees.
#[derive(Debug)]
struct Mean {
    forest: Forest<f64>,
    /// What the sum starts from: smartcore's forests add to 0, a single tree answers with its leaf
    /// as it is, and -0 is the number that changes nothing when added to.
    start: f64,
}

impl Model for Mean {
    fn predict(&self, batch: &Batch) -> Predictions {
        let mut sums = vec![self.start; batch.rows()];
        self.forest.visit(batch, |row, value| sums[row] += value);
        let trees = self.forest.trees.len() as f64;
        Predictions::Values(sums.into_iter().map(|sum| sum / trees).collect())
    }
}

#[derive(Deserialize)]
struct TreeFields<Output> {
    nodes: Vec<NodeFields<Output>>,
}

#[derive(Deserialize)]
struct ClassifierFields {
    nodes: Vec<NodeFields<usize>>,
    classes: Vec<u32>,
}

#[derive(Deserialize)]
struct RegressorFields {
    tree_regressor: TreeFields<f64>,
}

#[derive(Deserialize)]
struct ForestClassifierFields {
    trees: Vec<ClassifierFields>,
    classes: Vec<u32>,
}

#[derive(Deserialize)]
struct ForestRegressorFields {
    forest_regressor: TreesFields,
}

#[derive(Deserialize)]
struct TreesFields {
    trees: Vec<TreeFields<f64>>,
}

/// One tree that votes.
pub(super) fn classifier(shape: Shape, estimator: &str) -> Result<Box<dyn Model>, Defect> {
    vote(shape, vec![fields(shape, estimator)?])
}

/// Trees that vote.
pub(super) fn forest_classifier(shape: Shape, estimator: &str) -> Result<Box<dyn Model>, Defect> {
    let read: ForestClassifierFields = fields(shape, estimator)?;
    class_indices(&read.classes, shape.classes)?;
    vote(shape, read.trees)
}

/// One tree with a value in each leaf.
pub(super) fn regressor(shape: Shape, estimator: &str) -> Result<Box<dyn Model>, Defect> {
    let read: RegressorFields = fields(shape, estimator)?;
    mean(shape, vec![read.tree_regressor], -0.0)
}

/// Mean of trees with a value in each leaf.
pub(super) fn forest_regressor(shape: Shape, estimator: &str) -> Result<Box<dyn Model>, Defect> {
    let read: ForestRegressorFields = fields(shape, estimator)?;
    mean(shape, read.forest_regressor.trees, 0.0)
}

fn vote(shape: Shape, trees: Vec<ClassifierFields>) -> Result<Box<dyn Model>, Defect> {
    let mut forest = Forest::new();
    for (index, tree) in trees.into_iter().enumerate() {
        class_indices(&tree.classes, shape.classes)?;
        if let Some(at) = tree
            .nodes
            .iter()
            .position(|node| node.output >= shape.classes)
        {
            return Err(Defect::structure(format!(
                "tree {index}, node {at}: the output is no class"
            )));
        }
        // Below the number of classes, as checked.
        let outputs: Vec<u32> = tree.nodes.iter().map(|node| node.output as u32).collect();
        forest.push(shape, &tree.nodes, &outputs)?;
    }
    forest.check_any()?;
    let classes = shape.classes;
    Ok(Box::new(Vote { forest, classes }))
}

fn mean(shape: Shape, trees: Vec<TreeFields<f64>>, start: f64) -> Result<Box<dyn Model>, Defect> {
    let mut forest = Forest::new();
    for tree in trees {
        let outputs: Vec<f64> = tree.nodes.iter().map(|node| node.output).collect();
        finite("outputs of a tree", &outputs)?;
        forest.push(shape, &tree.nodes, &outputs)?;
    }
    forest.check_any()?;
    Ok(Box::new(Mean { forest, start }))
}

impl<Output: Copy> Forest<Output> {
    fn check_any(&self) -> Result<(), Defect> {
        if self.trees.is_empty() {
            return Err(Defect::structure("a forest of no trees"));
        }
        Ok(())
    }

    /// Checks one tree and appends it, breadth first, so that siblings are neighbours.
    fn push<Field>(
        &mut self,
        shape: Shape,
        nodes: &[NodeFields<Field>],
        outputs: &[Output],
    ) -> Result<(), Defect> {
        let index = self.trees.len();
        let splits = splits(shape, nodes)
            .map_err(|message| Defect::structure(format!("tree {index}, {message}")))?;
        let room = u32::try_from(self.nodes.len() + nodes.len());
        let root = room.map_err(|_| Defect::structure("more nodes than can be addressed"))?
            - nodes.len() as u32;
        let mut queue = VecDeque::from([(0_usize, 0_u32)]);
        let mut next = root + 1;
        let mut depth = 0;
        while let Some((source, level)) = queue.pop_front() {
            depth = depth.max(level);
            let at = self.nodes.len() as u32;
            self.outputs.push(outputs[source]);
            self.nodes.push(match splits[source] {
                None => Node::leaf(at),
                Some(split) => {
                    queue.extend(split.children.map(|child| (child, level + 1)));
                    next += 2;
                    Node::inner(split, next - 2)
                }
            });
        }
        self.trees.push(Tree { root, depth });
        Ok(())
    }
}

impl Node {
    fn inner(split: Split, left: u32) -> Self {
        Self {
            threshold: split.threshold,
            left,
            feature: split.feature,
            step: 1,
        }
    }

    fn leaf(at: u32) -> Self {
        Self {
            threshold: 0.0,
            left: at,
            feature: 0,
            step: 0,
        }
    }
}
