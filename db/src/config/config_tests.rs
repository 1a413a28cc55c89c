//! Tests of reading and checking the settings.

use super::keys::find;
use super::*;
use serde_json::json;

fn load(file: &str) -> Result<Config> {
    Config::load(Some(File::Json(file)), |_| None, &BTreeMap::new())
}

#[test]
fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
    let file = r#"{"Port": 1000, "HeartbeatMs": 60, "MaxVoters": 3}"#;
    let environment = |name: &str| match name {
        "JETTRA_PORT" => Some("2000".to_owned()),
        "JETTRA_HEARTBEAT_MS" => Some("70".to_owned()),
        _ => None,
    };
    let flags = BTreeMap::from([("Port", "3000".to_owned())]);
    let config = Config::load(Some(File::Json(file)), environment, &flags).unwrap();
    assert_eq!(
        (config.port, config.heartbeat_ms, config.max_voters, config.page_max),
        (3000, 70, 3, 1000)
    );
}

#[test]
fn a_wrong_setting_names_the_key_and_what_would_be_right() {
    for (file, message, hint) in [
        (r#"{"port": 1}"#, "\"port\"", "\"Port\""),
        (r#"{"Advertiseurl": ""}"#, "Advertiseurl", "\"AdvertiseUrl\""),
        (r#"{"Port": "x"}"#, "Port", "8080"),
        (r#"{"Port": 70000}"#, "cannot be used", "Port"),
        (r#"{"Peers": "http://a"}"#, "Peers", "[]"),
        (r#"{"Host": "0.0.0.0"}"#, "AdvertiseUrl", "http://"),
        (r#"{"AdvertiseUrl": "http://0.0.0.0:1"}"#, "AdvertiseUrl", "http://"),
        (r#"{"Host": "0.0.0.0", "AdvertiseUrl": "http://a:1"}"#, "secret", "ClusterSecretFile"),
        (r#"{"Peers": ["http://a:1"]}"#, "distributed", "true"),
        (
            r#"{"distributed": true, "Bootstrap": true, "Peers": ["http://a:1"]}"#,
            "Bootstrap",
            "Peers",
        ),
        (r#"{"distributed": true, "Peers": ["a:1"]}"#, "Peers", "http://"),
        (r#"{"ElectionMinMs": 50}"#, "ElectionMinMs", "300"),
        (r#"{"NameBytesMax": 201}"#, "NameBytesMax", "200"),
        (r#"{"NodeID": "a b"}"#, "NodeID", "ASCII"),
        (r#"{"JoinToken": "t"}"#, "JoinToken", "Peers"),
        (
            r#"{"distributed": true, "Peers": ["http://a:1"], "JoinToken": "t", "ClusterSecret": "0123456789abcdef"}"#,
            "JoinToken",
            "one of them",
        ),
        (r#"{"TlsCert": "c"}"#, "TlsKey", "TlsCert"),
        (r#"{"TlsKey": "k"}"#, "TlsCert", "TlsKey"),
        (r#"{"TlsCa": "a"}"#, "TlsCa", "TlsCert"),
        (
            r#"{"TlsCert": "c", "TlsKey": "k", "AdvertiseUrl": "http://a:1"}"#,
            "AdvertiseUrl",
            "https://",
        ),
        (r#"{"AdvertiseUrl": "https://a:1"}"#, "AdvertiseUrl", "http://"),
        (r#"{"NodeNetworks": ["10.0.0.0/33"]}"#, "NodeNetworks", "prefix"),
        (r#"{"RefuseEntry": ["7"]}"#, "RefuseEntry", "INDEX:HASH"),
        (r#"{"RefuseEntry": ["7:12"]}"#, "RefuseEntry", "INDEX:HASH"),
        (r#"[]"#, "object", "config.json.example"),
        (r#"{"#, "JSON", "config.json.example"),
    ] {
        let error = load(file).unwrap_err();
        assert!(error.message.contains(message), "{file}: {error}");
        assert!(error.hint.as_deref().unwrap_or("").contains(hint), "{file}: {error}");
    }
}

#[test]
fn an_entry_that_is_refused_names_its_group() {
    let config = load(r#"{"RefuseEntry": ["7:0123456789abcdef", "7@3:0000000000000001"]}"#);
    let entries = config.unwrap().refused_entries().unwrap();
    let at = |group| Position { group, index: 7 };
    assert_eq!(entries, [(at(0), 0x0123_4567_89ab_cdef), (at(3), 1)].into());
}

#[test]
fn a_file_of_jettradbvm_is_read_and_says_what_became_of_its_keys() {
    let file = r#"{"Host": "localhost", "Port": 6585, "DataDir": "data", "Mode": "standalone",
        "Role": "leader", "SessionTimeout": 30, "ClusterID": "c", "FederatedServers": [],
        "adminUser": "admin", "system_username": "admin", "system_password": "secret"}"#;
    let config = load(file).unwrap();
    assert!(config.host.is_loopback());
    assert_eq!(config.url(), "http://localhost:6585");
    assert_eq!(config.notes.len(), 8, "{:?}", config.notes);
    for (name, note) in ["Mode", "Role", "SessionTimeout"].into_iter().zip(&config.notes) {
        assert!(note.starts_with(&format!("{name} is a key of JettraDBVM")), "{note}");
    }
    assert!(!config.notes.iter().any(|note| note.contains("secret\"")), "{:?}", config.notes);
    let typo = load(r#"{"Modes": "x"}"#).unwrap_err();
    assert!(typo.message.contains("unknown key \"Modes\""), "{typo}");
    let lost = load(r#"{"Host": "no such host"}"#).unwrap_err();
    assert!(lost.message.contains("leads to no address"), "{lost}");
}

#[test]
fn the_example_documents_every_key_with_its_default() {
    let text = include_str!("../../../config.json.example");
    let example: Map<String, Value> = serde_json::from_str(text).unwrap();
    for key in KEYS {
        let default: Value = serde_json::from_str(key.default).unwrap();
        assert_eq!(example.get(key.name), Some(&default), "{}", key.name);
        let comment = example.get(&format!("//{}", key.name));
        assert_eq!(comment, Some(&json!(key.help)), "{}", key.name);
    }
    assert_eq!(example.len(), KEYS.len() * 2);
    load(text).unwrap();
}

#[test]
fn flags_and_variables_have_the_usual_spelling() {
    let spelled = |name: &str| find(name).map(|key| (key.flag(), key.variable())).unwrap();
    assert_eq!(spelled("NodeID"), ("node-id".into(), "JETTRA_NODE_ID".into()));
    assert_eq!(spelled("AdvertiseUrl").0, "advertise-url");
    assert_eq!(spelled("distributed").1, "JETTRA_DISTRIBUTED");
}

#[test]
fn a_node_with_a_certificate_advertises_https() {
    let config = load(r#"{"TlsCert": "c", "TlsKey": "k", "Port": 1, "Host": "::1"}"#).unwrap();
    assert_eq!(config.url(), "https://[::1]:1");
    assert_eq!(config.advertise_host().as_deref(), Some("::1"));
}

#[test]
fn addresses_are_brought_into_one_form() {
    assert_eq!(check_url("http://Host:80/").unwrap(), "http://host:80");
    assert_eq!(check_url("http://127.0.0.1:8081").unwrap(), "http://127.0.0.1:8081");
    assert_eq!(check_url("https://a").unwrap(), "https://a:443");
    for bad in ["x", "ftp://a", "file:///a", "http://", "http://u:p@a", "http://a/b", "http://a?x"]
    {
        assert!(check_url(bad).is_err(), "{bad}");
    }
}

#[test]
fn an_address_for_nodes_is_another_one_and_needs_a_secret_beyond_the_loopback() {
    let config = load(r#"{"PeerAddress": "localhost:7001"}"#).unwrap();
    assert_eq!(config.peer_url(), "http://localhost:7001");
    assert_eq!(config.peer_listener().unwrap().unwrap().port(), 7001);
    assert_eq!(load("{}").unwrap().peer_url(), "http://127.0.0.1:8080");
    let open = r#"{"PeerAddress": "0.0.0.0:7001", "AdvertiseUrl": "http://db1:8080", "ClusterSecret": "0123456789abcdef"}"#;
    assert_eq!(load(open).unwrap().peer_url(), "http://db1:7001");
    for (file, message) in [
        (r#"{"PeerAddress": "7001"}"#, "is no address"),
        (r#"{"PeerAddress": "127.0.0.1:0"}"#, "is no address"),
        (r#"{"PeerAddress": "127.0.0.1:8080"}"#, "that of Host and Port"),
        (r#"{"PeerAddress": "0.0.0.0:7001"}"#, "no cluster secret"),
        (r#"{"distributed": true, "BootstrapLowest": true}"#, "Peers is empty"),
        (r#"{"OpenFilesMax": 100}"#, "OpenFilesMax"),
        (r#"{"KvCollection": "kv"}"#, "KvCollection"),
        (r#"{"KvCollection": "_system._users"}"#, "KvCollection"),
    ] {
        let error = load(file).unwrap_err();
        assert!(error.message.contains(message), "{file}: {error}");
        assert!(error.hint.is_some(), "{file}: {error}");
    }
}

#[test]
fn the_files_of_rockrafts_example_are_settings() {
    let files = [
        include_str!("../../../packaging/rockraft/conf/node1.toml"),
        include_str!("../../../packaging/rockraft/conf/node2.toml"),
        include_str!("../../../packaging/rockraft/conf/node3.toml"),
    ];
    for (file, number) in files.into_iter().zip(1..) {
        let config = Config::load(Some(File::Rockraft(file)), |_| None, &BTreeMap::new()).unwrap();
        assert_eq!(config.node_id, Some(number.to_string()));
        assert_eq!(config.url(), format!("http://127.0.0.1:{}", 8000 + number));
        assert_eq!(config.peer_url(), format!("http://127.0.0.1:{}", 7000 + number));
        let expected: &[&str] = match number {
            1 => &["http://127.0.0.1:7002", "http://127.0.0.1:7003"],
            _ => &["http://127.0.0.1:7001"],
        };
        assert_eq!(config.peers, expected);
        assert_eq!(config.data_dir, PathBuf::from(format!("/tmp/rockraft_cluster/node{number}")));
        assert!(config.distributed && config.bootstrap_lowest && config.kv_at_root);
        assert_eq!(config.open_files_max, Some(10_000));
    }
    let flags = BTreeMap::from([("Port", "9001".to_owned())]);
    let config = Config::load(Some(File::Rockraft(files[0])), |_| None, &flags).unwrap();
    assert_eq!(config.port, 9001);
}
