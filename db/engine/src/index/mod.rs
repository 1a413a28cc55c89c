//! Secondary indexes: their definition, the keys of a document, and statistics.
//!
//! A row of the index table: `index id (4 bytes) ++ encoded values ++ encoded _id`, the `_id`
//! inverted if the last field is descending. Its value holds where the parts end and how the values
//! are decoded, so that a covered query needs no document. A key that would be too long for the
//! storage ends in a hash; queries take an index with such a key for one with arrays (`multikey`),
//! which neither gives an order nor answers without documents.

pub mod encode;
pub mod keys;
mod partial;
pub mod stats;

use crate::error::{Error, Result};
use crate::id::DocumentId;
use crate::query::context::{At, Context, Fields};
use crate::query::filter::Filter;
use crate::query::path::Path;
use crate::storage;
use crate::storage::keys::{CollectionId, KEY_BYTES_MAX};
use crate::value::{Object, Value, parse_stored};
use encode::FieldEncoding;
use keys::EntryInfo;
use minicbor::{CborLen, Decode, Encode};
use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::xxh3_128;

/// Number of an index in its group; never reused.
pub type IndexId = u32;

/// The name of the index on `_id`, which every collection has.
pub const ID_INDEX: &str = "_id_";
/// Fields of a compound index.
pub const FIELDS_MAX: usize = 16;
/// Indexes of a collection.
pub const INDEXES_MAX: usize = 64;

/// The definition of an index.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
pub struct IndexSpec {
    /// Its name; `city_1_age_-1` by default.
    #[n(0)]
    pub name: String,
    /// Paths of the fields, and whether each is descending.
    #[n(1)]
    pub fields: Vec<(String, bool)>,
    /// No two documents may have the same values.
    #[n(2)]
    pub unique: bool,
    /// Documents without any of the fields are left out.
    #[n(3)]
    pub sparse: bool,
    /// Only documents that match this filter (JSON text) are held.
    #[n(4)]
    pub partial: Option<String>,
    /// Documents are deleted this many seconds after the date in the field.
    #[n(5)]
    pub expire_after: Option<u64>,
    /// A document without the field gets the next number.
    #[n(6)]
    pub sequential: bool,
}

/// The state of an index.
#[derive(Debug, Clone, PartialEq, Encode, Decode, CborLen)]
#[cbor(flat)]
pub enum IndexState {
    /// It is being built: documents up to this one are in it.
    #[n(0)]
    Building {
        /// The last document that was added; none at the beginning.
        #[n(0)]
        after: Option<DocumentId>,
        /// Documents that were processed.
        #[n(1)]
        done: u64,
    },
    /// It holds every document.
    #[n(1)]
    Ready,
    /// It could not be built.
    #[n(2)]
    Failed(#[n(0)] Box<Error>),
}

impl IndexState {
    /// Why the index could not be built, if so.
    pub fn error(&self) -> Option<&Error> {
        match self {
            IndexState::Failed(error) => Some(error),
            IndexState::Building { .. } | IndexState::Ready => None,
        }
    }
}

/// An index as stored in the catalog.
#[derive(Debug, Clone, PartialEq, Encode, Decode, CborLen)]
pub struct IndexEntry {
    /// Its number.
    #[n(0)]
    pub id: IndexId,
    /// Its definition.
    #[n(1)]
    pub spec: IndexSpec,
    /// Its state.
    #[n(2)]
    pub state: IndexState,
    /// Whether a path has ever led through an array, or a key ended in a hash.
    #[n(3)]
    pub multikey: bool,
}

/// An index with parsed paths and filter.
#[derive(Debug, Clone)]
pub struct Index {
    /// As stored.
    pub entry: IndexEntry,
    /// The fields.
    pub paths: Vec<Path>,
    /// Which fields are descending.
    pub descending: Vec<bool>,
    /// Which documents it holds; all if none.
    pub partial: Option<Filter>,
}

/// One entry of an index: key and value as stored.
pub type StoredEntry = (Vec<u8>, Vec<u8>);

impl IndexSpec {
    /// Reads a definition: `keys` is `{"city": 1, "age": -1}`, or JettraDBVM's `"city,age"`.
    ///
    /// # Errors
    /// `invalid_query` that names what is wrong.
    pub fn parse(keys: &Value, options: &Object) -> Result<IndexSpec> {
        let at = At::root("keys");
        let fields = parse_fields(keys, at)?;
        let mut spec = IndexSpec {
            name: default_name(&fields),
            fields,
            unique: false,
            sparse: false,
            partial: None,
            expire_after: None,
            sequential: false,
        };
        for (name, value) in options {
            let at = At::root(name);
            match (name.as_str(), value) {
                ("unique", Value::Bool(truth)) => spec.unique = *truth,
                ("sparse", Value::Bool(truth)) => spec.sparse = *truth,
                ("sequential", Value::Bool(truth)) => spec.sequential = *truth,
                ("unique" | "sparse" | "sequential", _) => {
                    return Err(at.invalid("must be true or false"));
                }
                ("name", Value::String(text)) => spec.name = text.clone(),
                ("name", _) => return Err(at.invalid("must be a text")),
                ("partialFilterExpression", filter) => {
                    partial::check(&Filter::parse(filter, at)?, at)?;
                    spec.partial = Some(filter.to_json());
                }
                ("expireAfterSeconds", value) => {
                    let seconds = value.as_int().and_then(|seconds| u64::try_from(seconds).ok());
                    let seconds = seconds.filter(|seconds| *seconds <= u64::from(u32::MAX));
                    spec.expire_after = Some(seconds.ok_or_else(|| {
                        at.invalid("must be a whole number of seconds, 0 or more")
                    })?);
                }
                ("background" | "v", _) => {}
                _ => {
                    return Err(at.invalid("is no option of an index").hint(
                        "use name, unique, sparse, partialFilterExpression, expireAfterSeconds or sequential",
                    ));
                }
            }
        }
        if spec.is_on_id() {
            return IndexSpec::on_id(spec, options);
        }
        spec.check()?;
        Ok(spec)
    }

    /// Whether it defines the index on `_id`, which exists already.
    pub fn is_on_id(&self) -> bool {
        self.fields.len() == 1 && self.fields[0].0 == "_id"
    }

    fn on_id(spec: IndexSpec, options: &Object) -> Result<IndexSpec> {
        let at = At::root("keys");
        if spec.fields[0].1 {
            return Err(at.invalid(
                "must be {\"_id\": 1} for the index on _id, which serves both directions",
            ));
        }
        let chosen = |name: &&String| !matches!(name.as_str(), "name" | "background" | "v");
        match options.keys().find(chosen) {
            Some(name) => Err(At::root(name)
                .invalid("is not possible for the index on _id")
                .hint("it is there from the start, unique, and holds every document")),
            None => Ok(IndexSpec { name: ID_INDEX.to_owned(), ..spec }),
        }
    }

    fn check(&self) -> Result<()> {
        let name_ok = !self.name.is_empty()
            && self.name.len() <= 200
            && !self.name.contains(|c: char| c.is_control() || c == '/');
        if !name_ok {
            return Err(At::root("name")
                .invalid("must have 1 to 200 bytes without / and control characters"));
        }
        if self.name == ID_INDEX {
            return Err(At::root("name").invalid("must not be _id_, the name of the index on _id"));
        }
        let one = self.fields.len() == 1;
        if self.expire_after.is_some() && !one {
            return Err(At::root("expireAfterSeconds")
                .invalid("needs an index of one field that holds dates"));
        }
        if self.sequential && !one {
            return Err(At::root("sequential").invalid("needs an index of one field"));
        }
        if self.sequential && self.fields[0].0.contains('.') {
            return Err(At::root("sequential").invalid("needs an outermost field"));
        }
        Ok(())
    }

    /// Whether a collection can have only one of the two: as in MongoDB, indexes on the same fields
    /// must differ in which documents they hold or in whether they are unique.
    pub fn excludes(&self, other: &IndexSpec) -> bool {
        let kind = |spec: &IndexSpec| (spec.unique, spec.sparse, spec.partial.clone());
        self.fields == other.fields && kind(self) == kind(other)
    }

    /// Whether the other definition is the same, apart from its name.
    pub fn same_definition(&self, other: &IndexSpec) -> bool {
        IndexSpec { name: String::new(), ..self.clone() }
            == IndexSpec { name: String::new(), ..other.clone() }
    }
}

fn parse_fields(keys: &Value, at: At<'_>) -> Result<Vec<(String, bool)>> {
    let mut fields = Vec::new();
    match keys {
        Value::String(list) => {
            fields.extend(list.split(',').map(|name| (name.trim().to_owned(), false)));
        }
        Value::Object(object) => {
            for (name, direction) in object {
                let at = at.key(name);
                let descending = match direction.as_int() {
                    Some(1) => false,
                    Some(-1) => true,
                    _ => {
                        return Err(at
                            .invalid("must be 1 (ascending) or -1 (descending)")
                            .hint("text, geographic and hashed indexes do not exist here"));
                    }
                };
                fields.push((name.clone(), descending));
            }
        }
        _ => return Err(at.invalid("must be an object such as {\"city\": 1, \"age\": -1}")),
    }
    if fields.is_empty() || fields.len() > FIELDS_MAX {
        return Err(at.invalid(format!("must name 1 to {FIELDS_MAX} fields")));
    }
    for (index, (name, _)) in fields.iter().enumerate() {
        Path::parse(name, at)?;
        if fields[..index].iter().any(|(other, _)| other == name) {
            return Err(at.invalid(format!("names {name:?} twice")));
        }
    }
    Ok(fields)
}

fn default_name(fields: &[(String, bool)]) -> String {
    let part = |(name, descending): &(String, bool)| match descending {
        true => format!("{name}_-1"),
        false => format!("{name}_1"),
    };
    fields.iter().map(part).collect::<Vec<_>>().join("_")
}

impl Index {
    /// Parses the parts of a stored entry; they were checked when it was created.
    pub fn new(entry: IndexEntry) -> Result<Index> {
        let at = At::root("index");
        let paths = entry.spec.fields.iter().map(|(name, _)| Path::parse(name, at));
        let partial = entry.spec.partial.as_ref().map(|text| {
            let filter = parse_stored(text.as_bytes()).unwrap_or_default();
            Filter::parse(&filter, At::root("partialFilterExpression"))
        });
        Ok(Index {
            paths: paths.collect::<Result<_>>()?,
            descending: entry.spec.fields.iter().map(|(_, descending)| *descending).collect(),
            partial: partial.transpose()?,
            entry,
        })
    }

    /// Whether queries may use it.
    pub fn is_ready(&self) -> bool {
        self.entry.state == IndexState::Ready
    }

    /// Whether it holds the document with this `_id` by now, or must hold it.
    pub fn holds(&self, id: &DocumentId) -> bool {
        match &self.entry.state {
            IndexState::Ready => true,
            IndexState::Building { after: Some(after), .. } => id <= after,
            IndexState::Building { after: None, .. } | IndexState::Failed(_) => false,
        }
    }

    /// The outermost fields that decide about a document's keys.
    pub fn fields(&self, fields: &mut Fields) {
        self.paths.iter().for_each(|path| fields.add(path.as_str()));
        if let Some(partial) = &self.partial {
            partial.fields(fields);
        }
    }

    /// The keys of a document in this index, without index id and `_id`.
    ///
    /// # Errors
    /// `not_indexable` with the reason.
    pub fn document_keys(&self, document: &Value, ctx: &Context<'_>) -> Result<keys::DocumentKeys> {
        if let Some(partial) = &self.partial
            && !partial.matches(document, ctx)?
        {
            return Ok(keys::DocumentKeys::default());
        }
        let sparse = self.entry.spec.sparse;
        keys::document_keys(document, &self.paths, &self.descending, sparse, ctx)
    }

    /// The key of an entry.
    pub fn entry_key(&self, values: &[u8], id: &DocumentId) -> Vec<u8> {
        let mut key = self.start();
        key.extend_from_slice(values);
        let values_end = key.len();
        self.push_id(&mut key, id);
        if key.len() > KEY_BYTES_MAX {
            let hash = hash_id(&key[values_end..]);
            key.truncate(values_end);
            key.extend_from_slice(&hash);
        }
        key
    }

    /// Whether a key has a hash in the place of the `_id`, since the storage takes no longer one.
    pub fn hashes_id(&self, values: &[u8], id: &DocumentId) -> bool {
        INDEX_ID_BYTES + values.len() + id.key().len() > KEY_BYTES_MAX
    }

    /// Appends the `_id` at the end of an entry's key.
    pub fn push_id(&self, key: &mut Vec<u8>, id: &DocumentId) {
        if !self.id_descending() {
            return storage::keys::push_id(key, id);
        }
        // When inverted, no text may be a prefix of another; an encoded value is not.
        let start = key.len();
        storage::keys::push_id(key, id);
        encode::reverse(&mut key[start..]);
    }

    /// Whether entries with equal values are in descending order of `_id`.
    pub fn id_descending(&self) -> bool {
        self.descending.last().copied().unwrap_or(false)
    }

    /// First possible key of this index.
    pub fn start(&self) -> Vec<u8> {
        self.entry.id.to_be_bytes().to_vec()
    }

    /// First key after this index.
    pub fn end(&self) -> Vec<u8> {
        (self.entry.id + 1).to_be_bytes().to_vec()
    }

    /// Its fields, and whether each is descending.
    pub fn names(&self) -> impl Iterator<Item = (&str, bool)> {
        self.entry.spec.fields.iter().map(|(name, descending)| (name.as_str(), *descending))
    }
}

const INDEX_ID_BYTES: usize = 4;
const HASH_BYTES: usize = 16;
/// Longest encoded values that stand in a key as they are.
const VALUES_BYTES_MAX: usize = KEY_BYTES_MAX - INDEX_ID_BYTES - HASH_BYTES;
/// Bytes of longer ones that stand before their hash.
const VALUES_PREFIX_BYTES: usize = VALUES_BYTES_MAX - HASH_BYTES;
/// Bytes of a key up to which no hash can begin.
const EXACT_BYTES: usize = INDEX_ID_BYTES + VALUES_PREFIX_BYTES;

/// The beginning of encoded values and a hash, if they are too long for a key.
fn shortened(values: &[u8]) -> Option<Vec<u8>> {
    let long = values.len() > VALUES_BYTES_MAX;
    long.then(|| [&values[..VALUES_PREFIX_BYTES], &hash(values)].concat())
}

/// Whether encoded values are too long for a key, or as long as those that end in a hash.
pub fn is_long(values: &[u8]) -> bool {
    values.len() >= VALUES_BYTES_MAX
}

/// A hash that no end of a range is before. Where two values have the same, documents are compared.
fn hash(values: &[u8]) -> [u8; HASH_BYTES] {
    (xxh3_128(values) >> 1).to_be_bytes()
}

/// A hash that no end of a range is before, and for which nobody can make two `_id`s with the same:
/// the entry of one would take the place of the other's.
fn hash_id(id: &[u8]) -> [u8; HASH_BYTES] {
    let mut hash = [0; HASH_BYTES];
    hash.copy_from_slice(&Sha256::digest(id)[..HASH_BYTES]);
    hash[0] >>= 1;
    hash
}

/// A range of keys, made wide enough for those that end in a hash.
pub fn widened((mut start, mut end): (Vec<u8>, Vec<u8>)) -> (Vec<u8>, Vec<u8>) {
    start.truncate(EXACT_BYTES);
    if end.len() > EXACT_BYTES {
        end.truncate(EXACT_BYTES);
        end.resize(KEY_BYTES_MAX, 0xff);
    }
    (start, end)
}

/// Whether a range is as it was before it was [`widened`].
pub fn is_exact_range((start, end): &(Vec<u8>, Vec<u8>)) -> bool {
    // A start of just this length may have been longer.
    start.len() < EXACT_BYTES && end.len() <= EXACT_BYTES
}

/// Behind the fields: the type of the `_id` is not told by its encoding.
const ID_LOST: u8 = 1;
/// Behind the fields: the key ends in a hash of the encoded `_id`, which follows here.
const HASHED: u8 = 2;

/// The stored value of an entry: the number of fields; for each field where it ends (2 bytes) and
/// how it is decoded; then what there is to say of the `_id`.
pub fn entry_value(info: &EntryInfo, id: &DocumentId, hashed: bool) -> Vec<u8> {
    let mut value = Vec::with_capacity(3 * info.ends.len() + 1);
    value.push(info.ends.len() as u8);
    for (end, kept) in info.ends.iter().zip(&info.kept) {
        value.extend_from_slice(&end.to_be_bytes());
        value.push(*kept as u8);
    }
    let key = id.key();
    if hashed {
        value.push(HASHED);
        value.extend_from_slice(&key);
    } else if DocumentId::from_key(&key).is_none_or(|told| told.to_json() != id.to_json()) {
        value.push(ID_LOST);
    }
    value
}

/// An entry as read from the table.
#[derive(Clone, Copy)]
pub struct Entry<'e> {
    key: &'e [u8],
    /// For each field where it ends and how it is decoded.
    places: &'e [u8],
    id: &'e [u8],
}

impl<'e> Entry<'e> {
    /// Combines the two parts of a row of the index table.
    pub fn new(key: &'e [u8], value: &'e [u8]) -> Entry<'e> {
        let (fields, rest) = value.split_first().unwrap_or((&0, &[]));
        let (places, id) = rest.split_at_checked(3 * usize::from(*fields)).unwrap_or((rest, &[]));
        Entry { key, places, id }
    }

    /// Number of fields.
    pub fn fields(&self) -> usize {
        self.places.len() / 3
    }

    /// Whether the encoding of the `_id` tells its type.
    pub fn tells_id(&self) -> bool {
        self.id.is_empty()
    }

    /// Where the encoding of the first `count` fields ends in the key.
    pub fn prefix_end(&self, count: usize) -> usize {
        let Some(at) = count.checked_sub(1) else { return INDEX_ID_BYTES };
        match self.places.get(3 * at..3 * at + 2) {
            Some(end) => INDEX_ID_BYTES + usize::from(u16::from_be_bytes([end[0], end[1]])),
            None => self.key.len(),
        }
    }

    /// The encoded values of the first `count` fields with the index id before them.
    pub fn prefix(&self, count: usize) -> &'e [u8] {
        self.key.get(..self.prefix_end(count)).unwrap_or(self.key)
    }

    /// The `_id` as part of a document key, after the collection's number.
    pub fn document_key(&self, collection: CollectionId, id_descending: bool) -> Vec<u8> {
        if let Some((&HASHED, id)) = self.id.split_first() {
            return [&collection.to_be_bytes()[..], id].concat();
        }
        let id = self.key.get(self.prefix_end(self.fields())..).unwrap_or_default();
        if !id_descending {
            return [&collection.to_be_bytes()[..], id].concat();
        }
        let mut id = id.to_vec();
        encode::reverse(&mut id);
        [&collection.to_be_bytes()[..], &id].concat()
    }

    /// The value of a field; `None` if only the document has it, `Some(None)` if the document has
    /// no such field.
    pub fn field(&self, at: usize, descending: bool) -> Option<Option<Value>> {
        let kept = FieldEncoding::from_byte(*self.places.get(3 * at + 2)?);
        match kept {
            FieldEncoding::Missing => return Some(None),
            FieldEncoding::Lost => return None,
            FieldEncoding::Value | FieldEncoding::Int | FieldEncoding::Long => {}
        }
        let mut bytes = self.key.get(self.prefix_end(at)..self.prefix_end(at + 1))?.to_vec();
        if descending {
            encode::reverse(&mut bytes);
        }
        encode::decode(&bytes, kept).map(Some)
    }
}
