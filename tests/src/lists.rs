//! Clients that append numbers to the lists of one collection through all nodes and read the lists, and
//! that record every transaction for the checker of [`history`](crate::history).

use crate::crowd::Crowd;
use crate::documents::Documents;
use crate::history::{History, Key, Number, Outcome, Recorder, Step};
use crate::http::{Answer, Http};
use crate::load::WriteOutcomes;
use crate::random::Random;
use crate::transaction::OpenTransaction;
use crate::wait::wait_until;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Lists that are in use at one time.
const LISTS: u64 = 4;
/// Appended numbers after which other lists are used, so that no list becomes long.
const NUMBERS_PER_LISTS: u64 = 600;
const STEPS_MAX: u64 = 4;
/// Pause of a client after an error; not used for synchronisation.
const PAUSE: Duration = Duration::from_millis(20);

/// The lists of one collection.
pub struct Lists {
    database: String,
    collection: String,
    https: Vec<Http>,
    recorder: Recorder,
    numbers: AtomicU64,
}

impl Lists {
    /// No list yet; the calls go to all these nodes.
    pub fn new(database: &str, collection: &str, https: Vec<Http>) -> Lists {
        let (database, collection) = (database.to_owned(), collection.to_owned());
        let (recorder, numbers) = (Recorder::default(), AtomicU64::new(1));
        Lists { database, collection, https, recorder, numbers }
    }

    /// Starts clients that carry out random transactions; each successful one counts.
    pub fn start(self: &Arc<Lists>, clients: usize) -> Crowd {
        let lists = self.clone();
        Crowd::start(clients, move |client, turn| {
            let (lists, mut random) = (lists.clone(), Random((client << 32 | turn) as u64));
            async move {
                let done = match random.below(5) {
                    0 => lists.alone(&mut random).await,
                    _ => lists.transaction(&mut random).await,
                };
                if !done {
                    tokio::time::sleep(PAUSE).await;
                }
                done
            }
        })
    }

    /// What was recorded so far.
    pub fn history(&self) -> History {
        self.recorder.history()
    }

    /// Reads all lists through each of these nodes, with the default level and then with `level=local`,
    /// records that, and checks that all acknowledged appends and no others are there. Returns the number
    /// of lists that exist.
    ///
    /// # Panics
    /// If a node does not serve the lists, or a number is missing or must not exist.
    pub async fn check_all(&self, nodes: &[Http]) -> usize {
        let outcomes = self.outcomes();
        let mut existing = 0;
        for http in nodes {
            let place = self.documents(http);
            for copy in [place.clone(), place.with("level=local")] {
                let steps = wait_until(&format!("the lists of {}", self.database), async || {
                    let (began, mut steps) = (self.recorder.begin(), Vec::new());
                    for key in 0..self.first_list() + LISTS {
                        self.read(&copy, key, &mut steps).await?;
                    }
                    self.recorder.end(began, steps.clone(), Outcome::Committed);
                    Ok(steps)
                })
                .await;
                let lists = lists_of(steps);
                let found: BTreeSet<_> = lists.values().flatten().map(Number::to_string).collect();
                outcomes.check(&found, &self.database);
                existing = lists.values().filter(|list| !list.is_empty()).count();
            }
        }
        existing
    }

    /// The outcomes of all appends, named by their numbers.
    fn outcomes(&self) -> WriteOutcomes {
        let mut outcomes = WriteOutcomes::default();
        for transaction in self.history().0 {
            let appends = transaction.steps.iter().filter_map(|step| match step {
                Step::Append(_, number) => Some(number.to_string()),
                Step::Read(..) => None,
            });
            match transaction.outcome {
                Outcome::Committed => outcomes.acknowledged.extend(appends),
                Outcome::Aborted => outcomes.refused.extend(appends),
                Outcome::Unknown => outcomes.unknown.extend(appends),
            }
        }
        outcomes
    }

    /// The first of the lists that are in use.
    fn first_list(&self) -> Key {
        self.numbers.load(Ordering::Relaxed) / NUMBERS_PER_LISTS * LISTS
    }

    fn key(&self, random: &mut Random) -> Key {
        self.first_list() + random.below(LISTS)
    }

    fn number(&self) -> Number {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    fn documents(&self, http: &Http) -> Documents {
        Documents::new(http.clone(), &self.database, &self.collection)
    }

    fn any(&self, random: &mut Random) -> &Http {
        &self.https[random.below(self.https.len() as u64) as usize]
    }

    /// Reads a list; a missing one is empty.
    async fn read(&self, place: &Documents, key: Key, steps: &mut Vec<Step>) -> Result<(), String> {
        let answer = place.try_get(&format!("documents/{key}")).await?;
        let list = match answer.status {
            404 => Vec::new(),
            _ => {
                let list = success(answer)?.json()["list"].take();
                serde_json::from_value(list).expect("a list of numbers")
            }
        };
        steps.push(Step::Read(key, list));
        Ok(())
    }

    /// Appends to a list with `$push`.
    async fn push(&self, place: &Documents, key: Key, steps: &mut Vec<Step>) -> Result<(), String> {
        let number = self.number();
        steps.push(Step::Append(key, number));
        let body = serde_json::json!({
            "filter": {"_id": key}, "update": {"$push": {"list": number}}, "upsert": true
        });
        success(place.try_post("update", body).await?).map(drop)
    }

    /// Appends to a list by reading it and replacing it with a longer one.
    async fn put(&self, place: &Documents, key: Key, steps: &mut Vec<Step>) -> Result<(), String> {
        self.read(place, key, steps).await?;
        let Some(Step::Read(_, list)) = steps.last() else { panic!("it was just read") };
        let number = self.number();
        let list: Vec<_> = list.iter().copied().chain([number]).collect();
        steps.push(Step::Append(key, number));
        let (tail, body) = (format!("documents/{key}"), serde_json::json!({"list": list}));
        success(place.try_call("PUT", &tail, body).await?).map(drop)
    }

    /// Carries out some steps in one transaction; returns whether it was committed.
    async fn transaction(&self, random: &mut Random) -> bool {
        let began = self.recorder.begin();
        let http = self.any(random);
        let begun = OpenTransaction::try_begin_in(http, &self.database).await;
        let Ok(transaction) = begun else { return false };
        let inside = transaction.see(&self.documents(http));
        let mut steps = Vec::new();
        for _ in 0..1 + random.below(STEPS_MAX) {
            let key = self.key(random);
            let done = match random.below(4) {
                0 | 1 => self.read(&inside, key, &mut steps).await,
                2 => self.push(&inside, key, &mut steps).await,
                _ => self.put(&inside, key, &mut steps).await,
            };
            if done.is_err() {
                transaction.abandon().await;
                self.recorder.end(began, steps, Outcome::Aborted);
                return false;
            }
        }
        let outcome = transaction.settle(&self.https).await;
        self.recorder.end(began, steps, outcome);
        outcome == Outcome::Committed
    }

    /// Carries out one step outside of transactions, which counts as a transaction.
    async fn alone(&self, random: &mut Random) -> bool {
        let (began, mut steps) = (self.recorder.begin(), Vec::new());
        let place = self.documents(self.any(random));
        let key = self.key(random);
        let done = match random.below(2) {
            0 => self.read(&place, key, &mut steps).await,
            _ => self.push(&place, key, &mut steps).await,
        };
        let outcome = if done.is_ok() { Outcome::Committed } else { Outcome::Unknown };
        self.recorder.end(began, steps, outcome);
        done.is_ok()
    }
}

/// A successful response; anything else becomes a text.
fn success(answer: Answer) -> Result<Answer, String> {
    match answer.status {
        200..=299 => Ok(answer),
        status => Err(format!("{status} {}", answer.text)),
    }
}

/// The lists that were read.
fn lists_of(steps: Vec<Step>) -> BTreeMap<Key, Vec<Number>> {
    let read = steps.into_iter().filter_map(|step| match step {
        Step::Read(key, list) => Some((key, list)),
        Step::Append(..) => None,
    });
    read.collect()
}
