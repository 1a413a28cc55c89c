//! Tests of who founds a cluster.

use super::*;

fn candidate(name: &str) -> Candidate {
    Candidate {
        node_id: name.into(),
        boot: format!("boot-{name}"),
        url: format!("http://{name}"),
        may_found: true,
    }
}

fn answer(name: &str, agreed: &[&str]) -> (String, Agreement) {
    let node = candidate(name);
    let agreed = agreed.iter().map(|name| candidate(name)).collect();
    (node.url.clone(), Agreement { node, member: false, agreed })
}

fn found(agreed: &[&str]) -> Next {
    Next::Found(agreed.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn numbers_are_ordered_by_their_value_and_come_first() {
    let mut names = ["b", "10", "a", "2", "1"];
    names.sort_by(|a, b| by_name(a, b));
    assert_eq!(names, ["1", "2", "10", "a", "b"]);
}

#[test]
fn the_lowest_that_is_answered_creates_the_cluster() {
    let me = candidate("2");
    let step = |answers: &[(String, Agreement)]| next(&me, &BTreeMap::new(), answers, &[]);
    assert!(matches!(step(&[]), Next::Wait(reason, _) if reason.contains("none of Peers")));
    assert_eq!(step(&[answer("3", &[])]), found(&["3"]));
    let lower = step(&[answer("3", &[]), answer("1", &[])]);
    assert!(matches!(lower, Next::Wait(_, lower) if lower == [candidate("1")]));
    let mut member = answer("3", &[]);
    member.1.member = true;
    assert_eq!(step(&[answer("1", &[]), member.clone()]), Next::Join(member.0));
    // One that waits to be registered creates none.
    let mut waiting = answer("1", &[]);
    waiting.1.node.may_found = false;
    assert_eq!(step(&[waiting]), found(&["1"]));
    // The node itself among its peers.
    let itself = step(&[answer("2", &[])]);
    assert!(matches!(itself, Next::Wait(reason, _) if reason.contains("none of Peers")));
    let mut twin = answer("2", &[]);
    twin.1.node.boot = "another".into();
    assert!(matches!(step(&[twin]), Next::Wait(reason, _) if reason.contains("same NodeID")));
}

#[test]
fn a_candidate_waits_for_those_that_its_peers_have_agreed_to() {
    let (me, named) = (candidate("1"), [candidate("2")]);
    let step = |answers: &[(String, Agreement)]| next(&me, &BTreeMap::new(), answers, &named);
    let waits = step(&[answer("3", &["2"])]);
    assert!(matches!(waits, Next::Wait(reason, _) if reason.contains("may have created")));
    assert_eq!(step(&[answer("3", &["2"]), answer("2", &[])]), found(&["2", "3"]));
}

#[test]
fn an_agreement_outlives_a_restart_and_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut founding = Founding::load(dir.path()).unwrap();
    assert!(founding.agreed.is_empty());
    founding.agree(&candidate("1"), dir.path()).unwrap();
    let again = Founding::load(dir.path()).unwrap();
    assert_eq!(again.agreed, founding.agreed);
    let step = next(&candidate("2"), &again.agreed, &[answer("3", &[])], &[]);
    assert!(matches!(step, Next::Wait(reason, _) if reason.contains("is to create")));
    // What it was agreed to gives way itself.
    let higher = [("3".to_owned(), candidate("3"))].into();
    assert_eq!(next(&candidate("2"), &higher, &[answer("3", &[])], &[]), found(&["3"]));
}

/// A node in a model of messages that are lost and processes that start again.
struct Modelled {
    me: Candidate,
    founding: Founding,
    dir: tempfile::TempDir,
    /// The nodes that are still to be asked in this round, and what the others have answered.
    to_ask: Vec<usize>,
    answers: Vec<(String, Agreement)>,
    named: Vec<Candidate>,
    /// The nodes whose answers were in a round that came to its end.
    heard: BTreeSet<String>,
    founded: bool,
}

impl Modelled {
    fn new(name: &str) -> Modelled {
        let dir = tempfile::tempdir().unwrap();
        Modelled {
            me: candidate(name),
            founding: Founding::load(dir.path()).unwrap(),
            dir,
            to_ask: Vec::new(),
            answers: Vec::new(),
            named: Vec::new(),
            heard: BTreeSet::new(),
            founded: false,
        }
    }

    fn begin_round(&mut self, peers: impl Iterator<Item = usize>) {
        (self.answers, self.named) = (Vec::new(), Vec::new());
        self.to_ask = peers.collect();
    }

    fn end_round(&mut self) {
        self.heard.extend(self.answers.iter().map(|(_, answer)| answer.node.node_id.clone()));
        let agreed = &self.founding.agreed;
        match next(&self.me, agreed, &self.answers, &self.named) {
            Next::Found(agreed) => self.founded = self.founding.begin(&agreed),
            Next::Wait(_, lower) => {
                for node in &lower {
                    self.founding.agree(node, self.dir.path()).unwrap();
                }
            }
            Next::Join(_) => {}
        }
    }

    fn start_again(&mut self) {
        self.founding = Founding::load(self.dir.path()).unwrap();
        self.me.boot += "'";
        (self.to_ask, self.answers) = (Vec::new(), Vec::new());
    }
}

/// Every node names all others, a third of the messages is lost, and processes start again.
#[test]
fn of_two_nodes_of_which_one_hears_the_other_one_founds_at_most() {
    let (mut runs_with_founder, mut random) = (0, 1_u64);
    let mut below = |limit: usize| {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % limit
    };
    for run in 0..60 {
        let mut nodes: Vec<Modelled> = ["1", "2", "3", "4"].map(Modelled::new).into();
        for _ in 0..120 {
            let at = below(nodes.len());
            if nodes[at].founded {
                continue;
            }
            if below(20) == 0 {
                nodes[at].start_again();
            }
            let Some(asked) = nodes[at].to_ask.pop() else {
                if !nodes[at].answers.is_empty() {
                    nodes[at].end_round();
                }
                let count = nodes.len();
                let first = below(count);
                let peers = (0..count).map(|index| (first + index) % count);
                nodes[at].begin_round(peers.filter(|index| *index != at));
                continue;
            };
            let (lost, answer_lost) = (below(3) == 0, below(3) == 0);
            if lost {
                continue;
            }
            let asking = nodes[at].me.clone();
            let Modelled { me, founding, dir, founded, .. } = &mut nodes[asked];
            let answer = founding.answer(me.clone(), *founded, &asking, dir.path()).unwrap();
            if !answer_lost {
                let url = nodes[asked].me.url.clone();
                let others = answer.agreed.iter().filter(|node| node.node_id != asking.node_id);
                let others: Vec<Candidate> = others.cloned().collect();
                nodes[at].named.extend(others);
                nodes[at].answers.push((url, answer));
            }
        }
        let founders: Vec<usize> = (0..nodes.len()).filter(|at| nodes[*at].founded).collect();
        runs_with_founder += usize::from(!founders.is_empty());
        for (one, other) in founders.iter().flat_map(|one| founders.iter().map(move |it| (one, it)))
        {
            assert!(
                one == other || !nodes[*one].heard.contains(&nodes[*other].me.node_id),
                "run {run}: {founders:?}"
            );
        }
    }
    assert!(runs_with_founder > 30, "{runs_with_founder}");
}
