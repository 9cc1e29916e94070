//! The least file has every default, and each mistake is told in these words, all of them at once.

use super::*;

const LEAST: &str =
    "state_dir = '/s'\n[[backend]]\nname = 'a'\ndriver = 'file'\ndirectory = '/p'\n";

fn parse(text: &str) -> Result<Config, Vec<String>> {
    let read = written::read(text).map(|(config, _)| config);
    read.map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect())
}

#[test]
fn the_least_configuration_has_every_default() {
    let config = parse(LEAST).unwrap();
    assert_eq!(config.api.unix, Path::new("/s/api.sock"));
    assert_eq!(config.api.listen, None);
    assert_eq!(config.api.auth, Auth::Token);
    assert_eq!(config.roles.len(), 4);
    assert_eq!(config.backup_stores, []);
    assert_eq!(config.availability_zone, "nova");
    let quota = config.quota;
    assert_eq!((quota.volumes, quota.snapshots), (10, 10));
    assert_eq!((quota.gigabytes, quota.per_volume_gigabytes), (1000, -1));
    assert_eq!((quota.backups, quota.backup_gigabytes), (10, 1000));
    assert_eq!(config.target.iqn_prefix, "iqn.2010-10.org.openstack:");
    assert!(!config.target.mutual_chap);
    assert_eq!(config.target.portals, ["127.0.0.1:3260".parse().unwrap()]);
    let backend = &config.backends[0];
    assert_eq!(backend.reserved_percentage, 0);
    assert!((backend.max_over_subscription_ratio - 20.0).abs() < f64::EPSILON);
    let DriverConfig::File {
        pool,
        directory,
        secure_delete,
        wipe_bytes_per_s,
    } = &backend.driver
    else {
        panic!("{backend:?}");
    };
    assert_eq!(
        (pool.as_str(), directory.as_path()),
        ("pool", Path::new("/p"))
    );
    assert_eq!((*secure_delete, *wipe_bytes_per_s), (SecureDelete::Zero, 0));
    assert_eq!(
        config.target.kind,
        TargetKind::Userspace,
        "files are served by Ashlar's own target"
    );
}

#[test]
fn every_key_is_read() {
    let config = parse(
        "state_dir = '/s'\nhost = 'h'\nroles = ['api', 'volume']\navailability_zone = 'z'\n\
         [api]\nunix = '/r/a'\nlisten = '[::1]:1'\nauth = 'none'\n\
         [target]\nportals = ['10.0.0.1:2']\niqn_prefix = 'iqn.X:'\nmutual_chap = true\n\
         [quota]\nvolumes = 1\nsnapshots = 0x2\ngigabytes = -1\nper_volume_gigabytes = 4\n\
         backups = 5\nbackup_gigabytes = 6\n\
         [[backup_store]]\nname = 's'\nkind = 'fake'\ndirectory = '/b'\npassword_file = '/k'\n\
         copy_mib_per_s = 2\n\
         [[backup_store]]\nname = 't'\ndirectory = '/c'\n\
         [[backend]]\nname = 'a'\ndriver = 'file'\npool = 'q'\ndirectory = '/p'\nsecure_delete = 'none'\n\
         wipe_mib_per_s = 3\nmax_over_subscription_ratio = 2\nreserved_percentage = 5\n\
         [[backend]]\nname = 'b'\ndriver = 'fake'\ndirectory = '/q'\nfaults = 'create=eio'\n",
    );
    let config = config.unwrap();
    assert_eq!((config.host.as_str(), config.roles.len()), ("h", 2));
    assert_eq!(config.api.listen, Some("[::1]:1".parse().unwrap()));
    assert_eq!(config.api.auth, Auth::None);
    assert_eq!(config.target.iqn_prefix, "iqn.x:");
    assert!(config.target.mutual_chap);
    let quota = config.quota;
    assert_eq!((quota.volumes, quota.snapshots), (1, 2));
    assert_eq!((quota.gigabytes, quota.per_volume_gigabytes), (-1, 4));
    assert_eq!((quota.backups, quota.backup_gigabytes), (5, 6));
    let [one, other] = &config.backup_stores[..] else {
        panic!("{:?}", config.backup_stores);
    };
    assert_eq!((one.name.as_str(), one.kind), ("s", StoreKind::Fake));
    assert_eq!(one.directory, Path::new("/b"));
    assert_eq!(one.password_file.as_deref(), Some(Path::new("/k")));
    assert_eq!(
        (other.kind, &other.password_file),
        (StoreKind::Restic, &None)
    );
    assert_eq!((one.bytes_per_s, other.bytes_per_s), (2 << 20, 0));
    let DriverConfig::File {
        pool,
        secure_delete,
        wipe_bytes_per_s,
        ..
    } = &config.backends[0].driver
    else {
        panic!("{:?}", config.backends[0]);
    };
    assert_eq!((pool.as_str(), *wipe_bytes_per_s), ("q", 3 << 20));
    assert_eq!(*secure_delete, SecureDelete::None);
    assert!(
        matches!(&config.backends[1].driver, DriverConfig::Fake { faults, .. } if faults == "create=eio")
    );
}

#[test]
fn all_mistakes_are_told_at_once_in_these_words() {
    let text = "\
state_dir = 'relative'
rols = ['api']
host = 'a@b'
roles = ['api', 'volum', 'volume']
listen = '127.0.0.1:1'
[api]
listen = '0.0.0.0:8776'
auth = 'none'
[target]
portals = ['127.0.0.1:0', '0.0.0.0:3260']
iqn_prefix = 'x'
colour = 'red'
[quota]
volumes = 'many'
gigabytes = -2
[[backend]]
name = 'a'
driver = 'fil'
directory = '/p'
[[backend]]
name = 'a b'
driver = 'file'
directory = 'q'
reserved_percentage = 100
max_over_subscription_ratio = 0
faults = ''
[[backend]]
name = 'c'
";
    let wanted = [
        "line 1, column 13: state_dir: must be an absolute path, such as \"/var/lib/ashlar\"",
        "line 2, column 1: unknown key `rols`: did you mean `roles`?",
        "line 3, column 8: host: must be letters, digits, '.', '_' and '-'; '@' and '#' separate host, backend and pool",
        "line 4, column 9: roles: \"volum\" is not known: did you mean \"volume\"?",
        "line 5, column 1: unknown key `listen`: it belongs into [api]",
        "line 8, column 8: api.auth: \"none\" lets everybody do everything and is allowed on a loopback address only; use \"token\"",
        "line 10, column 11: target.portals: 127.0.0.1:0 needs a port other than 0, since hosts come back to it",
        "line 10, column 11: target.portals: hosts are told these addresses: name those that they reach, not 0.0.0.0",
        "line 11, column 14: target.iqn_prefix: must start with \"iqn.\", have no blanks and at most 180 bytes, such as \"iqn.2010-10.org.openstack:\"",
        "line 12, column 1: unknown key `target.colour`: known are portals, iqn_prefix, kind, saveconfig, detach, mutual_chap",
        "line 14, column 11: quota.volumes: must be a whole number from -1 to 2147483647, not 'many'",
        "line 15, column 13: quota.gigabytes: must be a whole number from -1 to 2147483647, not -2",
        "line 18, column 10: backend.driver: \"fil\" is not known: did you mean \"file\"?",
        "line 21, column 8: backend.name: \"a b\" must be letters, digits, '.', '_' and '-', at most 100 of them",
        "line 23, column 13: backend.directory: must be an absolute path, such as \"/var/lib/ashlar-pool\"",
        "line 24, column 23: backend.reserved_percentage: must be a whole number from 0 to 99, not 100",
        "line 25, column 31: backend.max_over_subscription_ratio: must be a number above 0, such as 20.0, not 0",
        "line 26, column 10: backend.faults: only the driver \"fake\" has faults; take it out",
        "line 27, column 1: backend.driver: is required, such as \"file\"",
    ];
    let mistakes = parse(text).unwrap_err();
    assert_eq!(mistakes, wanted, "{}", mistakes.join("\n"));
}

#[test]
fn what_must_hold_between_keys() {
    for (text, wanted) in [
        (
            "",
            vec![
                "state_dir: is required, such as \"/var/lib/ashlar\"",
                "backend: the role volume needs at least one [[backend]]",
            ],
        ),
        (
            "state_dir = '/s'\nroles = []",
            vec![
                "line 2, column 9: roles: must name at least one of \"api\", \"scheduler\", \"volume\", \"backup\"",
            ],
        ),
        (
            &format!("{LEAST}[[backend]]\nname = 'a'\ndriver = 'file'\ndirectory = '/p/q'"),
            vec![
                "line 7, column 8: backend.name: \"a\" is there twice; give this one another name",
                "line 9, column 13: backend.directory: /p/q and /p of backend a lie one in the other; a pool needs a directory of its own",
            ],
        ),
        (
            "state_dir = '/s/x'\n[[backend]]\nname = 'a'\ndriver = 'file'\ndirectory = '/s'\n",
            vec![
                "line 5, column 13: backend.directory: state_dir lies in it; a pool needs a directory of its own",
            ],
        ),
        (
            &format!("{LEAST}[target]\nportals = []"),
            vec![
                "line 7, column 11: target.portals: needs at least one \"ip:port\", such as \"10.0.0.5:3260\"",
            ],
        ),
        (
            &format!("{LEAST}[api]\nlisten = 'localhost'"),
            vec![
                "line 7, column 10: api.listen: \"localhost\" is no address: write \"ip:port\", such as \"127.0.0.1:8776\" or \"[::1]:8776\"",
            ],
        ),
        (
            &format!("{LEAST}[target]\nmutual_chap = 'yes'"),
            vec!["line 7, column 15: target.mutual_chap: must be true or false, not 'yes'"],
        ),
        (
            &format!("api = 1\n{LEAST}"),
            vec!["line 1, column 7: api: must be a table: write [api] on a line of its own"],
        ),
        (
            "state_dir = '/s'\n[backend]\nname = 'a'\n",
            vec![
                "line 2, column 1: backend: must be a list of tables: write [[backend]] with two brackets",
            ],
        ),
    ] {
        assert_eq!(parse(text).unwrap_err(), wanted, "{text}");
    }
    let long = format!(
        "state_dir = '/{}'\n[[backend]]\nname = 'a'\ndriver = 'file'\ndirectory = '/p'\n",
        "x".repeat(120)
    );
    assert!(parse(&long).unwrap_err()[0].contains("may have 107"));
}

#[test]
fn what_must_hold_of_backup_stores() {
    let text = format!(
        "{LEAST}[[backup_store]]\nname = 'a'\nkind = 'tape'\ndirectory = '/p/b'\n\
         [[backup_store]]\nname = 'a'\ndirectory = '/c'\n[[backup_store]]\nname = 'b'\ndirectory = '/c/d'\n\
         [[backup_store]]\n"
    );
    let wanted = [
        "line 8, column 8: backup_store.kind: \"tape\" is not known: it is one of [\"restic\", \"cinder\", \"fake\"]",
        "line 9, column 13: backup_store.directory: /p/b and /p of backend a lie one in the other; a backup store needs a directory of its own, best on another device",
        "line 11, column 8: backup_store.name: \"a\" is there twice; give this one another name",
        "line 15, column 13: backup_store.directory: /c/d and /c of backup_store a lie one in the other; a backup store needs a directory of its own, best on another device",
        "line 16, column 1: backup_store.name: is required, such as \"default\"",
        "line 16, column 1: backup_store.directory: is required, such as \"/srv/backups\"",
    ];
    assert_eq!(parse(&text).unwrap_err(), wanted);
}

#[test]
fn what_is_no_toml_is_told_with_the_rest() {
    let mistakes = parse("state_dir = \nhost = 'a@b'\n[[backend]]\nname = 'a'\n").unwrap_err();
    assert!(mistakes[0].starts_with("line 1, column 1"), "{mistakes:?}");
    assert!(mistakes[0].contains("this is not TOML"), "{mistakes:?}");
    assert!(
        mistakes
            .iter()
            .any(|one| one.contains("line 2, column 8: host")),
        "{mistakes:?}"
    );
}

#[test]
fn what_the_file_names_is_looked_at() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::create_dir(at("shared")).unwrap();
    let mode = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(at("shared"), mode).unwrap();
    std::fs::create_dir(at("foreign")).unwrap();
    std::fs::write(at("foreign/letter"), "").unwrap();
    let file = at("ashlar.toml");
    let text = format!(
        "state_dir = '{}'\n[api]\nunix = '{}'\n[[backend]]\nname = 'a'\ndriver = 'file'\ndirectory = '{}'\n\
         [[backend]]\nname = 'b'\ndriver = 'file'\ndirectory = '{}'\n[[backend]]\nname = 'c'\ndriver = 'file'\n\
         directory = '{}'\n",
        at("shared").display(),
        at("nowhere/api.sock").display(),
        at("foreign").display(),
        at("foreign/letter").display(),
        at("new/pool").display(),
    );
    std::fs::write(&file, text.replace("foreign/letter'", "ashlar.toml'")).unwrap();
    let told = Config::check(&file).unwrap_err().to_string();
    let lines: Vec<&str> = told.lines().map(str::trim).collect();
    for (line, starts, words) in [
        (0, "", "4 mistakes"),
        (
            1,
            "line 1, column 13: state_dir:",
            "(mode 0777); run `chmod go-w",
        ),
        (
            2,
            "line 3, column 8: api.unix:",
            "nowhere is not there; make it",
        ),
        (
            3,
            "line 7, column 13: backend.directory:",
            "holds files but no mark",
        ),
        (
            4,
            "line 11, column 13: backend.directory:",
            "is not a directory",
        ),
    ] {
        let told = lines[line];
        assert!(told.starts_with(starts) && told.contains(words), "{told}");
    }
    assert!(!at("new").exists(), "a look changes nothing");
    // What a start does first is not kept from it by a look.
    assert!(Config::read(&file).is_ok());
}
