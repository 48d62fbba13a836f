//! Which ModelServices are to be looked at: each by one reconcile at a time, and those of a namespace
//! that has very many leave room for others.

use crate::api::ModelService;
use futures::StreamExt as _;
use kube::runtime::reflector::ObjectRef;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use tokio_util::time::{DelayQueue, delay_queue};

/// Reconciles that run at once.
const AT_ONCE: usize = 16;
/// Of them those of one namespace, however many ModelServices it has.
const OF_ONE_NAMESPACE: usize = 12;

/// Name of a ModelService.
pub type Id = ObjectRef<ModelService>;

type Namespace = Option<String>;

/// See the module.
#[derive(Debug, Default)]
pub struct Queue {
    states: HashMap<Id, State>,
    namespaces: HashMap<Namespace, Lane>,
    /// Namespaces in which somebody waits, that whose turn it is first.
    round: VecDeque<Namespace>,
    later: DelayQueue<Id>,
    waiting: usize,
    running: usize,
}

#[derive(Debug)]
enum State {
    Waiting,
    Running { touched: bool },
    Later(delay_queue::Key),
}

#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Id>,
    running: usize,
}

impl Queue {
    /// Has a ModelService wait for its turn. One that is being looked at is looked at again after that.
    pub fn touch(&mut self, id: Id) {
        match self.states.get_mut(&id) {
            Some(State::Waiting) => return,
            Some(State::Running { touched }) => {
                *touched = true;
                return;
            }
            Some(State::Later(key)) => drop(self.later.remove(key)),
            None => {}
        }
        self.wait(id);
    }

    fn wait(&mut self, id: Id) {
        self.states.insert(id.clone(), State::Waiting);
        self.waiting += 1;
        let lane = self.namespaces.entry(id.namespace.clone()).or_default();
        if lane.waiting.is_empty() {
            self.round.push_back(id.namespace.clone());
        }
        lane.waiting.push_back(id);
    }

    /// Who may be looked at now, if anybody; to be followed by [`Queue::done`].
    pub fn start(&mut self) -> Option<Id> {
        if self.running == AT_ONCE {
            return None;
        }
        let has_room = |namespace| {
            let lane = self.namespaces.get(namespace);
            lane.is_some_and(|lane| lane.running < OF_ONE_NAMESPACE)
        };
        let turn = self.round.iter().position(has_room)?;
        let namespace = self.round.remove(turn)?;
        let lane = self.namespaces.get_mut(&namespace)?;
        let id = lane.waiting.pop_front()?;
        lane.running += 1;
        if !lane.waiting.is_empty() {
            self.round.push_back(namespace);
        }
        self.waiting -= 1;
        self.running += 1;
        self.states
            .insert(id.clone(), State::Running { touched: false });
        Some(id)
    }

    /// Ends what was started. The ModelService waits again at once if it was touched meanwhile, else
    /// after `again`; without that it is forgotten until it is touched.
    pub fn done(&mut self, id: Id, again: Option<Duration>) {
        self.running -= 1;
        if let Some(lane) = self.namespaces.get_mut(&id.namespace) {
            lane.running -= 1;
            if lane.running == 0 && lane.waiting.is_empty() {
                self.namespaces.remove(&id.namespace);
            }
        }
        match (self.states.remove(&id), again) {
            (Some(State::Running { touched: true }), _) => self.wait(id),
            (_, Some(again)) => {
                let key = self.later.insert(id.clone(), again);
                self.states.insert(id, State::Later(key));
            }
            (_, None) => {}
        }
    }

    /// Has the next one wait whose time has come; None, at once, if there is none to come.
    pub async fn come(&mut self) -> Option<()> {
        let id = self.later.next().await?.into_inner();
        self.wait(id);
        Some(())
    }

    /// How many wait for their turn.
    pub fn waiting(&self) -> usize {
        self.waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use rstest::rstest;
    use std::collections::{HashSet, VecDeque};

    const SOON: Duration = Duration::from_secs(5);

    fn id(namespace: &str, number: usize) -> Id {
        ObjectRef::new(&number.to_string()).within(namespace)
    }

    fn started(queue: &mut Queue) -> Vec<Id> {
        std::iter::from_fn(|| queue.start()).collect()
    }

    #[tokio::test]
    async fn a_namespace_with_very_many_leaves_turns_to_others() {
        let mut queue = Queue::default();
        (0..1_000).for_each(|at| queue.touch(id("crowded", at)));
        let first: Vec<_> = (0..OF_ONE_NAMESPACE).map(|at| id("crowded", at)).collect();
        assert_eq!(started(&mut queue), first, "in the order of asking");
        let others = ["a", "b", "c", "d", "e"].map(|namespace| id(namespace, 0));
        others.iter().for_each(|other| queue.touch(other.clone()));
        assert_eq!(started(&mut queue), others[..4]);
        assert_eq!(queue.waiting(), 1_000 - OF_ONE_NAMESPACE + 1);
        queue.done(first[0].clone(), None);
        assert_eq!(queue.start(), Some(id("crowded", OF_ONE_NAMESPACE)));
        queue.done(first[1].clone(), None);
        assert_eq!(queue.start(), Some(others[4].clone()), "its turn comes");
    }

    #[tokio::test]
    async fn each_is_looked_at_by_one_at_a_time_and_again_if_touched_meanwhile() {
        let mut queue = Queue::default();
        for _ in 0..3 {
            queue.touch(id("a", 7));
        }
        assert_eq!(started(&mut queue), [id("a", 7)]);
        for _ in 0..3 {
            queue.touch(id("a", 7));
        }
        assert_eq!((queue.waiting(), queue.start()), (0, None));
        queue.done(id("a", 7), Some(SOON));
        assert_eq!(started(&mut queue), [id("a", 7)]);
        queue.done(id("a", 7), None);
        assert_eq!(queue.start(), None);
        assert!(queue.states.is_empty() && queue.namespaces.is_empty());
    }

    #[rstest]
    #[case::left_alone(false)]
    #[case::touched_before(true)]
    #[tokio::test(start_paused = true)]
    async fn it_comes_again_when_its_time_has_come(#[case] touched: bool) {
        let mut queue = Queue::default();
        queue.touch(id("a", 7));
        assert_eq!(started(&mut queue), [id("a", 7)]);
        queue.done(id("a", 7), Some(SOON));
        assert_eq!((queue.start(), queue.come().now_or_never()), (None, None));
        if touched {
            queue.touch(id("a", 7));
        } else {
            let start = tokio::time::Instant::now();
            assert_eq!(queue.come().await, Some(()));
            assert!(start.elapsed() >= SOON);
        }
        assert_eq!(started(&mut queue), [id("a", 7)]);
        assert_eq!(queue.come().await, None, "once is enough");
    }

    /// Against the plainest description of the same: nobody is lost, nobody looked at by two, and
    /// there is no room left while somebody waits who could use it.
    #[tokio::test(start_paused = true)]
    async fn whatever_happens_nobody_is_lost() {
        for seed in 0..200 {
            let mut chance = fastrand::Rng::with_seed(seed);
            let (mut queue, mut running) = (Queue::default(), VecDeque::new());
            let mut due = HashSet::new();
            for _ in 0..500 {
                match chance.u8(0..4) {
                    0 | 1 => {
                        let touched = id(&chance.u8(0..3).to_string(), chance.usize(0..20));
                        due.insert(touched.clone());
                        queue.touch(touched);
                    }
                    2 => started(&mut queue).into_iter().for_each(|id| {
                        due.remove(&id);
                        assert!(!running.contains(&id), "seed {seed}: {id} twice");
                        running.push_back(id);
                    }),
                    _ => {
                        if let Some(id) = running.pop_front() {
                            queue.done(id, chance.bool().then_some(SOON));
                        }
                    }
                }
            }
            while !running.is_empty() || queue.waiting() > 0 {
                for id in started(&mut queue) {
                    due.remove(&id);
                    running.push_back(id);
                }
                queue.done(running.pop_front().unwrap(), None);
            }
            assert!(due.is_empty(), "seed {seed}: {due:?} lost");
        }
    }
}
