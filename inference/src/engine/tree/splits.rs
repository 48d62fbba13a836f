//! Nodes of a tree as smartcore writes them → splits that are safe to follow.

use crate::engine::Shape;
use serde::Deserialize;

/// A node as smartcore writes it; a leaf has no children.
#[derive(Debug, Deserialize)]
pub(super) struct NodeFields<Output> {
    pub(super) output: Output,
    split_feature: usize,
    split_value: Option<f64>,
    true_child: Option<usize>,
    false_child: Option<usize>,
}

/// A checked inner node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Split {
    pub(super) feature: u16,
    pub(super) threshold: f64,
    /// Where values up to the threshold go, and where the others go.
    pub(super) children: [usize; 2],
}

/// The split of each node, None for a leaf. Every node is reached exactly once from the root: a
/// cycle would never end, and shared children would multiply when copied.
pub(super) fn splits<Output>(
    shape: Shape,
    nodes: &[NodeFields<Output>],
) -> Result<Vec<Option<Split>>, String> {
    if nodes.is_empty() {
        return Err("which has no nodes".to_owned());
    }
    let mut reached = vec![false; nodes.len()];
    reached[0] = true;
    let mut splits = Vec::with_capacity(nodes.len());
    for (at, node) in nodes.iter().enumerate() {
        let split = split(shape, at, node).map_err(|error| format!("node {at}: {error}"))?;
        for child in split.iter().flat_map(|split| split.children) {
            match reached.get_mut(child) {
                None => return Err(format!("node {at}: there is no node {child}")),
                Some(reached) if *reached => {
                    return Err(format!("node {at}: node {child} has two parents"));
                }
                Some(reached) => *reached = true,
            }
        }
        splits.push(split);
    }
    match reached.iter().position(|reached| !reached) {
        None => Ok(splits),
        Some(at) => Err(format!("node {at}: nothing leads to it")),
    }
}

fn split<Output>(
    shape: Shape,
    at: usize,
    node: &NodeFields<Output>,
) -> Result<Option<Split>, String> {
    let children = match (node.true_child, node.false_child) {
        (None, None) => return Ok(None),
        (Some(left), Some(right)) => [left, right],
        _ => return Err("it has one child".to_owned()),
    };
    if let Some(child) = children.iter().find(|child| **child <= at) {
        return Err(format!("its child {child} does not come after it"));
    }
    let feature = u16::try_from(node.split_feature).ok();
    let feature = feature.filter(|feature| usize::from(*feature) < shape.features);
    let feature = feature.ok_or(format!("there is no feature {}", node.split_feature))?;
    let threshold = node.split_value.filter(|value| value.is_finite());
    let threshold = threshold.ok_or("its threshold is not a finite number")?;
    Ok(Some(Split {
        feature,
        threshold,
        children,
    }))
}
