//! Keys of JettraDBVM's `config.json` without a meaning here: they are accepted, and what replaces
//! each is logged once.

/// Each key with what replaces it.
const OLD_KEYS: [(&str, &str); 8] = [
    ("Mode", "a node is alone or a member, by distributed"),
    ("Role", "the leader is elected; promote a node to choose it"),
    ("SessionTimeout", "SessionHours bounds a login on the page"),
    ("ClusterID", "a cluster makes its own identity when it is made"),
    (
        "FederatedServers",
        "the nodes agree among themselves; new ones ask their Peers for admission",
    ),
    ("adminUser", "the first user is always admin"),
    ("system_username", "the first user is always admin"),
    ("system_password", "AdminPasswordFile or JETTRA_ADMIN_PASSWORD sets the password of admin"),
];

/// The note about a key; none if JettraDBVM did not have it.
pub(super) fn note(name: &str) -> Option<String> {
    let (name, became) = OLD_KEYS.iter().find(|(known, _)| *known == name)?;
    Some(format!("{name} is a key of JettraDBVM and has no effect: {became}"))
}
