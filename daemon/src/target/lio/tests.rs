//! The kernel's target against a configfs in memory: what it makes, that it may be repeated after a crash at any act,
//! and that it leaves alone what is not ours.

mod kernel;

use super::*;
use crate::model::id::VolumeId;
use kernel::{Fault, Kernel, MOUNTED, NO_DISCARD, no_session};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const PREFIX: &str = "iqn.2010-10.org.openstack:";
const HOST: &str = "iqn.1993-08.org.debian:01:host";
/// Others' objects: targetcli's, and a Cinder's with names like ours.
const CINDERS: &str = "iqn.2010-10.org.openstack:volume-11111111-2222-4333-8444-555555555555";
const FOREIGN_SAVED: &str = include_str!("tests/foreign.json");
const LOGGED_IN: &str = "InitiatorName: iqn.1993-08.org.debian:01:host\nLIO Session ID: 7   ISID: 0x00 02 3d 00 00 00  \
    TSIH: 5  SessionType: Normal\nSession State: TARG_SESS_STATE_LOGGED_IN\n   Address 192.168.77.2 TCP  StatSN: 0x2b4c1cd2\n";

/// A target over a kernel in which others have objects already.
struct Lab {
    target: LioTarget,
    kernel: Arc<Kernel>,
    directory: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        let kernel = Arc::new(Kernel::fresh());
        make_foreign(&kernel);
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("saveconfig.json"), FOREIGN_SAVED).unwrap();
        Self::over(kernel, directory)
    }

    fn over(kernel: Arc<Kernel>, directory: tempfile::TempDir) -> Self {
        let config = LioConfig {
            iqn_prefix: PREFIX.to_owned(),
            portals: vec![
                "192.168.77.1:3260".parse().unwrap(),
                "[fd00::1]:3260".parse().unwrap(),
            ],
            saveconfig: directory.path().join("saveconfig.json"),
            boot_id: "boot".to_owned(),
        };
        Self {
            target: LioTarget::new(config, Tree::over(kernel.clone())),
            kernel,
            directory,
        }
    }

    /// The same kernel as a new daemon finds it, with nothing failing any more.
    fn restarted(self) -> Self {
        self.kernel.fail(None);
        Self::over(self.kernel, self.directory)
    }

    fn saved(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("saveconfig.json")).unwrap()
    }

    fn state(&self) -> (String, String) {
        (self.kernel.all(), self.saved())
    }
}

fn make_foreign(kernel: &Kernel) {
    use crate::target::configfs::Configfs as _;
    let path = |text: &str| PathBuf::from(text);
    for (hba, name, device) in [
        ("iblock_0", "disk", "/dev/sdx"),
        ("iblock_2", CINDERS, "/dev/vg1/volume"),
    ] {
        let own = path("core").join(hba).join(name);
        kernel.mkdir(own.parent().unwrap()).unwrap();
        kernel.mkdir(&own).unwrap();
        let control = format!("udev_path={device}");
        kernel
            .write(&own.join("control"), control.as_bytes())
            .unwrap();
        kernel
            .write(&own.join("udev_path"), device.as_bytes())
            .unwrap();
        kernel.write(&own.join("enable"), b"1").unwrap();
    }
    kernel.mkdir(&path("core/fileio_0")).unwrap();
    kernel.mkdir(&path("iscsi")).unwrap();
    for (iqn, backstore) in [
        (
            "iqn.2003-01.org.linux-iscsi.x:sn.1",
            "core/iblock_0/disk".to_owned(),
        ),
        (CINDERS, format!("core/iblock_2/{CINDERS}")),
    ] {
        let target = path("iscsi").join(iqn);
        let tpg = target.join("tpgt_1");
        let (lun, acl) = (tpg.join("lun/lun_0"), tpg.join("acls").join(HOST));
        for one in [&target, &tpg, &lun, &tpg.join("np/0.0.0.0:3260")] {
            kernel.mkdir(one).unwrap();
        }
        kernel
            .link(&path(&backstore), &lun.join("abcdef0123"))
            .unwrap();
        kernel.mkdir(&acl).unwrap();
        kernel.mkdir(&acl.join("lun_0")).unwrap();
        kernel.link(&lun, &acl.join("lun_0/abcdef0123")).unwrap();
        kernel.write(&tpg.join("enable"), b"1").unwrap();
    }
}

fn volume() -> VolumeId {
    "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee".parse().unwrap()
}

fn export_of(volume_id: VolumeId, path: &str) -> Export {
    let device = Device {
        path: path.into(),
        len_bytes: 1 << 30,
    };
    Export { volume_id, device }
}

fn access(secret: &str) -> Access {
    Access {
        initiator: HOST.to_owned(),
        chap: Chap {
            user: "user".to_owned(),
            secret: SecretString::from(secret),
            mutual: None,
        },
        read_only: false,
    }
}

/// The same with a proof of the target's.
fn mutual(secret: &str) -> Access {
    let mut access = access(secret);
    access.chap.mutual = Some(Credentials {
        user: "target".to_owned(),
        secret: SecretString::from("proof"),
    });
    access
}

/// What is asked of a target, each after what comes before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Export,
    Allow,
    /// Another secret, read-only, and the target is to prove itself from now on.
    Rekey,
    /// After [`Self::Rekey`], and as before it.
    RekeyBack,
    AnotherDevice,
    Deny,
    Unexport,
}

const ACTS: [Act; 7] = [
    Act::Export,
    Act::Allow,
    Act::Rekey,
    Act::RekeyBack,
    Act::AnotherDevice,
    Act::Deny,
    Act::Unexport,
];

impl Act {
    async fn done(self, target: &LioTarget) -> Result<Done, TargetError> {
        match self {
            Self::Export => target.export(&export_of(volume(), "/dev/vg0/one")).await,
            Self::Allow | Self::RekeyBack => target.allow(volume(), &access("secret")).await,
            Self::Rekey => {
                target
                    .allow(
                        volume(),
                        &Access {
                            read_only: true,
                            ..mutual("other")
                        },
                    )
                    .await
            }
            Self::AnotherDevice => target.export(&export_of(volume(), NO_DISCARD)).await,
            Self::Deny => target.deny(volume(), HOST).await,
            Self::Unexport => target.unexport(volume()).await,
        }
    }

    /// A kernel in which this may be asked for.
    async fn ready(self) -> Lab {
        let lab = Lab::new();
        let before: &[Self] = match self {
            Self::Export => &[],
            Self::Allow => &[Self::Export],
            Self::Rekey | Self::AnotherDevice | Self::Deny | Self::Unexport => {
                &[Self::Export, Self::Allow]
            }
            Self::RekeyBack => &[Self::Export, Self::Allow, Self::Rekey],
        };
        for act in before {
            act.done(&lab.target).await.unwrap();
        }
        lab.kernel.fail(None);
        lab
    }
}

/// The lines that `now` has and `before` has not.
fn added(before: &str, now: &str) -> String {
    let known: BTreeSet<&str> = before.lines().collect();
    let new = now.lines().filter(|line| !known.contains(line));
    new.map(|line| format!("{line}\n")).collect()
}

/// Tells only the lines that differ.
fn assert_same(found: &(String, String), wanted: &(String, String), when: &str) {
    let (found, wanted) = (
        format!("{}{}", found.0, found.1),
        format!("{}{}", wanted.0, wanted.1),
    );
    let (more, less) = (added(&wanted, &found), added(&found, &wanted));
    assert!(found == wanted, "{when}\ntoo much:\n{more}missing:\n{less}");
}

/// `ASHLAR_BLESS=1` writes what was found in place of what was expected.
fn golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/target/lio/tests")
        .join(name);
    if std::env::var_os("ASHLAR_BLESS").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let wanted = std::fs::read_to_string(&path).unwrap();
    assert_eq!(found, wanted, "{name} is not as expected");
}

#[tokio::test]
async fn an_export_is_made_as_targetcli_would_make_it() {
    let lab = Lab::new();
    let (made, foreign) = (lab.kernel.made(), lab.kernel.all());
    for act in [Act::Export, Act::Allow] {
        assert_eq!(act.done(&lab.target).await.unwrap(), Done::Changed);
        let once = lab.state();
        assert_eq!(act.done(&lab.target).await.unwrap(), Done::AlreadySo);
        assert_eq!(lab.state(), once);
    }
    golden("export.txt", &added(&made, &lab.kernel.made()));
    golden("saveconfig.json", &lab.saved());
    let exports = lab.target.exports().await.unwrap();
    let ours = exports
        .iter()
        .find(|one| one.volume_id == volume())
        .unwrap();
    assert_eq!(
        (ours.device.path.as_path(), &ours.initiators[..]),
        (Path::new("/dev/vg0/one"), &[HOST.to_owned()][..])
    );
    assert_eq!(
        lab.target.resize(volume(), 2 << 30).await.unwrap(),
        Done::Changed
    );

    for act in [Act::Deny, Act::Unexport] {
        assert_eq!(act.done(&lab.target).await.unwrap(), Done::Changed);
        assert_eq!(act.done(&lab.target).await.unwrap(), Done::AlreadySo);
    }
    assert_eq!(lab.state(), (foreign, FOREIGN_SAVED.to_owned()));
    assert_eq!(
        lab.target.resize(volume(), 3 << 30).await.unwrap(),
        Done::AlreadySo
    );
    let refused = Act::Allow.done(&lab.target).await;
    assert!(
        matches!(refused, Err(TargetError::NotExported { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn the_target_proves_itself_as_targetcli_would_make_it_and_no_more_when_it_is_told_so() {
    let lab = Act::Rekey.ready().await;
    let (one_way, saved) = lab.state();
    assert_eq!(Act::Rekey.done(&lab.target).await.unwrap(), Done::Changed);
    let once = lab.state();
    assert_eq!(Act::Rekey.done(&lab.target).await.unwrap(), Done::AlreadySo);
    assert_eq!(lab.state(), once);
    let changed = added(&one_way, &once.0) + &added(&saved, &once.1);
    golden("mutual.txt", &changed);

    assert_eq!(
        Act::RekeyBack.done(&lab.target).await.unwrap(),
        Done::Changed
    );
    let (kernel, saved_now) = lab.state();
    assert_eq!(saved_now, saved);
    // What was never set reads empty, what was taken away NULL; to the kernel they are one.
    assert_eq!(kernel.replace("_mutual = NULL", "_mutual = "), one_way);
    assert_eq!(
        Act::RekeyBack.done(&lab.target).await.unwrap(),
        Done::AlreadySo
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_act_is_mended_by_a_repeat() {
    for act in ACTS {
        let untouched = Lab::new().state();
        let lab = act.ready().await;
        act.done(&lab.target).await.unwrap();
        let (acts, wanted) = (lab.kernel.acts(), lab.state());
        for at in 1..=acts {
            for fault in [Fault::Once(at), Fault::FromThenOn(at)] {
                let lab = act.ready().await;
                lab.kernel.fail(Some(fault));
                let failed = act.done(&lab.target).await;
                let lab = lab.restarted();
                act.done(&lab.target).await.unwrap();
                assert_same(
                    &lab.state(),
                    &wanted,
                    &format!("{act:?} {fault:?} of {acts}: {failed:?}"),
                );
                lab.target.unexport(volume()).await.unwrap();
                assert_same(
                    &lab.state(),
                    &untouched,
                    &format!("{act:?} {fault:?}: unexported"),
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_is_taken_away() {
    let untouched = Lab::new().state();
    for act in ACTS {
        let lab = act.ready().await;
        act.done(&lab.target).await.unwrap();
        for at in 1..=lab.kernel.acts() {
            let lab = act.ready().await;
            lab.kernel.fail(Some(Fault::FromThenOn(at)));
            let _ = act.done(&lab.target).await;
            let lab = lab.restarted();
            lab.target.unexport(volume()).await.unwrap();
            assert_same(&lab.state(), &untouched, &format!("{act:?} until {at}"));
        }
    }
}

#[tokio::test]
async fn a_device_in_use_is_refused_and_nothing_is_left() {
    let lab = Lab::new();
    let untouched = lab.state();
    for device in [MOUNTED, "/dev/sdx"] {
        let refused = lab.target.export(&export_of(volume(), device)).await;
        let why = refused.unwrap_err().to_string();
        assert!(
            why.contains(device) && why.contains("mounted or in use"),
            "{why}"
        );
        assert_eq!(lab.state(), untouched);
    }
}

#[tokio::test]
async fn an_initiators_impossible_name_is_refused() {
    let lab = Act::Allow.ready().await;
    let before = lab.state();
    for name in ["", "..", "a/../b", "a\nb"] {
        let access = Access {
            initiator: name.to_owned(),
            ..access("secret")
        };
        lab.target.allow(volume(), &access).await.unwrap_err();
        assert_eq!(
            lab.target.deny(volume(), name).await.unwrap(),
            Done::AlreadySo
        );
    }
    assert_eq!(lab.state(), before);
}

#[tokio::test]
async fn a_stuck_removal_stops_no_other_export() {
    let lab = Act::Unexport.ready().await;
    let target = lab.target.with_deadline(Duration::from_millis(100));
    let acl = target.paths(volume()).acl(HOST);
    lab.kernel.stick(&acl);
    let stuck = target.unexport(volume()).await.unwrap_err().to_string();
    assert!(stuck.contains("did not finish"), "{stuck}");

    let other = VolumeId::random();
    assert_eq!(
        target
            .export(&export_of(other, "/dev/vg0/two"))
            .await
            .unwrap(),
        Done::Changed
    );
    assert_eq!(
        target.allow(other, &access("secret")).await.unwrap(),
        Done::Changed
    );
    lab.kernel
        .tell(&target.paths(other).acl(HOST).join("info"), LOGGED_IN);
    let sessions = target.sessions().await.unwrap();
    assert_eq!(sessions.len(), 1, "the stuck one is left out");
    let exports = target.exports().await.unwrap();
    assert!(exports.iter().any(|one| one.volume_id == other));
    assert_eq!(target.unexport(other).await.unwrap(), Done::Changed);

    lab.kernel.let_go();
    let deadline = Instant::now() + Duration::from_secs(10);
    while let Err(error) = target.unexport(volume()).await {
        assert!(Instant::now() < deadline, "{error}");
        tokio::task::yield_now().await;
    }
    assert!(!lab.kernel.all().contains(&volume().to_string()));
}

#[tokio::test]
async fn a_session_is_told_and_ended_and_its_initiator_may_come_again() {
    let lab = Act::Rekey.ready().await;
    Act::Rekey.done(&lab.target).await.unwrap();
    let allowed = lab.state();
    assert_eq!(lab.target.sessions().await.unwrap(), []);
    let info = lab.target.paths(volume()).acl(HOST).join("info");
    lab.kernel.tell(&info, LOGGED_IN);
    let session = lab.target.sessions().await.unwrap().remove(0);
    assert_eq!(
        (session.volume_id, session.initiator.as_str()),
        (volume(), HOST)
    );
    assert_eq!(
        (session.peer.as_str(), session.read_only),
        ("192.168.77.2", true)
    );
    assert_eq!(
        (session.read_bytes, session.written_bytes),
        (3 << 20, 5 << 20)
    );

    assert_eq!(
        lab.target.kick(SessionId::random()).await.unwrap(),
        Done::AlreadySo
    );
    assert_eq!(lab.target.kick(session.id).await.unwrap(), Done::Changed);
    assert_eq!(
        lab.state(),
        allowed,
        "let in as before, and nobody is logged in"
    );
    assert!(allowed.0.contains(&no_session(HOST)));
    assert_eq!(lab.target.kick(session.id).await.unwrap(), Done::AlreadySo);
}
