//! From which node to which memory may move: between neighbours in the hierarchy, to the nearest.

use damon_core::NodeId;

use super::Hierarchy;

/// Towards where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Cold memory, to a slower node.
    Demote,
    /// Hot memory, to a faster node.
    Promote,
    /// A part of the hot memory, to a slower node: while the faster one is short of bandwidth.
    Spread,
}

/// One move that is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// Towards where.
    pub direction: Direction,
    /// From this node.
    pub from: NodeId,
    /// To this one.
    pub to: NodeId,
}

/// All routes of a hierarchy: demotions first, so that there is room for what is promoted.
///
/// A node's cold memory goes to the nearest of the next slower tier. A node's hot memory goes to the nearest of the next faster
/// tier, and to those whose own cold memory comes here: what they lost can come back. Between two nodes that both have CPUs
/// nothing moves: each is near to somebody.
pub(super) fn routes(hierarchy: &Hierarchy) -> Vec<Route> {
    let apart = |a: NodeId, b: NodeId| [a, b].iter().any(|&id| hierarchy.node(id).is_some_and(|node| !node.cpus));
    let mut ids: Vec<NodeId> = hierarchy.nodes.iter().map(|node| node.id).collect();
    ids.sort_unstable();
    let (mut down, mut up) = (Vec::new(), Vec::new());
    for &from in &ids {
        let nearest = hierarchy.nearest(from, hierarchy.slower(from));
        down.extend(nearest.into_iter().filter(|&to| apart(from, to)).map(|to| (from, to)));
    }
    for &from in &ids {
        let nearest = hierarchy.nearest(from, hierarchy.faster(from));
        up.extend(nearest.into_iter().filter(|&to| apart(from, to)).map(|to| (from, to)));
        let back = down.iter().filter(|(_, to)| *to == from).map(|&(above, _)| (from, above));
        let new: Vec<_> = back.filter(|route| !up.contains(route)).collect();
        up.extend(new);
    }
    let as_route = |direction| move |(from, to)| Route { direction, from, to };
    down.into_iter().map(as_route(Direction::Demote)).chain(up.into_iter().map(as_route(Direction::Promote))).collect()
}
