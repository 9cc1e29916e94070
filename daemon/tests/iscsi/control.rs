//! The process and its control socket: what persists, who is refused, what ends what.

use crate::rig::{DEADLINE, HOST, Initiator, OTHER_HOST, Rig, SECRET, config, rw16};
use ashlar_daemon::driver::Done;
use ashlar_daemon::model::id::VolumeId;
use ashlar_daemon::target::iscsi::{IQN_PREFIX, IscsiTarget, TargetServeError, serve};
use ashlar_daemon::target::{Target, TargetError};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;

#[test]
fn a_restart_serves_the_same_exports_to_the_same_hosts() {
    let rig = Rig::start();
    let volume = rig.volume(MIB);
    assert_eq!(rig.host(&volume).write(3, &[7; 512]).status, 0);
    let rig = Rig::start_in(rig.stop());
    // The table remembers where the file was; the directory kept its path.
    assert_eq!(rig.host(&volume).read(3, 1).data, [7; 512]);
    let exports = rig.wait(rig.client.exports()).unwrap();
    assert_eq!(exports.len(), 1);
    assert_eq!(exports[0].volume_id, volume.id);
    assert_eq!(exports[0].initiators, [HOST]);
}

#[test]
fn an_export_whose_file_is_gone_does_not_stop_the_others() {
    let rig = Rig::start();
    let (gone, kept) = (rig.volume(MIB), rig.volume(MIB));
    let dir = rig.stop();
    std::fs::remove_file(&gone.path).unwrap();
    let rig = Rig::start_in(dir);
    let refused = Initiator::logged_in(rig.portal, HOST, &gone.iqn, SECRET).err();
    assert_eq!(refused, Some(0x0301), "service unavailable");
    assert_eq!(rig.host(&kept).read(0, 1).status, 0);
    std::fs::File::create(&gone.path)
        .unwrap()
        .set_len(MIB)
        .unwrap();
    assert_eq!(
        rig.wait(rig.client.export(&gone.export(MIB))).unwrap(),
        Done::Changed
    );
    assert_eq!(rig.host(&gone).read(0, 1).status, 0);
}

#[test]
fn a_second_target_on_the_same_directory_is_refused() {
    let rig = Rig::start();
    let second = rig.wait(serve(config(&rig.dir), Default::default()));
    assert!(
        matches!(second, Err(TargetServeError::Running { .. })),
        "{second:?}"
    );
    rig.wait(rig.client.hello()).unwrap();
}

#[test]
fn what_holds_secrets_is_for_the_owner_alone() {
    let rig = Rig::start();
    let _volume = rig.volume(MIB);
    let mode = |name: &str| {
        let path = rig.dir.path().join(name);
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode("target"), 0o700);
    assert_eq!(mode("target/exports.json"), 0o600);
    assert_eq!(mode("target/control.sock"), 0o600);
    assert_eq!(mode("target/lock"), 0o600);
}

#[test]
fn what_is_already_so_is_no_error() {
    let rig = Rig::start();
    let volume = rig.volume(MIB);
    let absent = VolumeId::random();
    assert_eq!(
        rig.wait(rig.client.export(&volume.export(MIB))).unwrap(),
        Done::AlreadySo
    );
    assert_eq!(rig.wait(rig.deny(&volume, OTHER_HOST)), Done::AlreadySo);
    assert_eq!(
        rig.wait(rig.client.unexport(absent)).unwrap(),
        Done::AlreadySo
    );
    assert_eq!(
        rig.wait(rig.client.resize(absent, MIB)).unwrap(),
        Done::AlreadySo
    );
    assert_eq!(
        rig.wait(rig.client.unexport(volume.id)).unwrap(),
        Done::Changed
    );
    assert_eq!(
        rig.wait(rig.client.unexport(volume.id)).unwrap(),
        Done::AlreadySo
    );
    assert!(rig.wait(rig.client.live_writes(absent)).unwrap().is_none());
}

#[test]
fn a_file_shorter_than_its_volume_is_refused_and_nothing_changes() {
    let rig = Rig::start();
    let volume = rig.volume(MIB);
    let refused = rig.wait(rig.client.resize(volume.id, 2 * MIB));
    assert!(
        matches!(refused, Err(TargetError::Refused { .. })),
        "{refused:?}"
    );
    let exports = rig.wait(rig.client.exports()).unwrap();
    assert_eq!(exports[0].device.len_bytes, MIB);
}

#[test]
fn a_denied_host_is_out_and_stays_out() {
    let rig = Rig::start();
    let volume = rig.volume(MIB);
    rig.allow(&volume, OTHER_HOST, SECRET, false);
    let mut host = rig.host(&volume);
    let mut other = Initiator::logged_in(rig.portal, OTHER_HOST, &volume.iqn, SECRET).unwrap();
    assert_eq!(
        rig.wait(rig.deny(&volume, &HOST.to_uppercase())),
        Done::Changed
    );
    assert!(host.is_closed());
    assert_eq!(
        Initiator::logged_in(rig.portal, HOST, &volume.iqn, SECRET).err(),
        Some(0x0202)
    );
    assert_eq!(other.read(0, 1).status, 0, "the other host goes on");
    assert_eq!(
        rig.wait(rig.client.unexport(volume.id)).unwrap(),
        Done::Changed
    );
    assert!(other.is_closed());
    let gone = Initiator::logged_in(rig.portal, OTHER_HOST, &volume.iqn, SECRET).err();
    assert_eq!(gone, Some(0x0203));
    assert!(rig.wait(rig.sessions()).is_empty());
}

#[test]
fn a_session_tells_what_it_moved() {
    let rig = Rig::start();
    let volume = rig.volume(MIB);
    rig.allow(&volume, OTHER_HOST, SECRET, true);
    let mut host = rig.host(&volume);
    let _other = Initiator::logged_in(rig.portal, OTHER_HOST, &volume.iqn, SECRET).unwrap();
    let of = |initiator: &str| {
        let all = rig.wait(rig.sessions());
        assert_eq!(all.len(), 2);
        all.into_iter()
            .find(|one| one.initiator == initiator)
            .unwrap()
    };
    let fresh = of(HOST);
    assert_eq!(
        (fresh.reads, fresh.writes, &fresh.last_io_at),
        (Some(0), Some(0), &None)
    );
    assert!(of(OTHER_HOST).read_only && !fresh.read_only);
    assert_eq!(host.write(0, &[1; 1024]).status, 0);
    assert_eq!(host.read(0, 1).status, 0);
    assert_eq!(host.read(4, 3).status, 0);
    let mut same = rw16(0x93, 8, 8);
    same[1] = 0x08;
    assert_eq!(host.run(&same, 0, &[0; 512]).status, 0, "write same");
    let moved = of(HOST);
    assert_eq!((moved.reads, moved.writes), (Some(2), Some(2)));
    assert_eq!((moved.read_bytes, moved.written_bytes), (4 * 512, 1024));
    assert_eq!((moved.id, &moved.since), (fresh.id, &fresh.since));
    assert!(moved.last_io_at >= moved.since);
    assert!(moved.quiet.unwrap() < DEADLINE);
    assert_eq!(of(OTHER_HOST).last_io_at, None, "each its own");
    assert!(host.read(0, 9_000).status != 0, "too long a read");
    assert_eq!(of(HOST).reads, Some(2), "what fails moves nothing");
}

#[test]
fn a_kick_ends_one_session_and_shuts_nobody_out() {
    let rig = Rig::start();
    let volume = rig.volume(MIB);
    let mut host = rig.host(&volume);
    let kicked = rig.wait(rig.sessions())[0].id;
    let mut beside = rig.host_at(&volume, 77);
    assert_eq!(rig.wait(rig.client.kick(kicked)).unwrap(), Done::Changed);
    assert!(host.is_closed());
    assert_eq!(beside.write(0, &[1; 512]).status, 0, "the other goes on");
    let begin = Instant::now();
    // It is forgotten once its connection has ended.
    while rig.wait(rig.client.kick(kicked)).unwrap() != Done::AlreadySo {
        assert!(begin.elapsed() < DEADLINE);
    }
    assert_eq!(rig.host(&volume).read(0, 1).data, [1; 512], "let in again");
    let ids: Vec<_> = rig.wait(rig.sessions()).iter().map(|one| one.id).collect();
    assert!(!ids.contains(&kicked));
    assert_eq!(beside.read(0, 1).status, 0);
}

#[test]
fn another_device_for_a_volume_is_served_to_new_sessions_only() {
    let rig = Rig::start();
    let volume = rig.volume(MIB);
    let mut host = rig.host(&volume);
    let mut moved = volume.export(MIB);
    moved.device.path = rig.dir.path().join("moved");
    std::fs::write(&moved.device.path, vec![9; 1 << 20]).unwrap();
    assert_eq!(rig.wait(rig.client.export(&moved)).unwrap(), Done::Changed);
    assert!(host.is_closed());
    assert_eq!(rig.host(&volume).read(0, 1).data, [9; 512]);
}

#[test]
fn a_file_that_took_the_place_of_the_one_served_is_served_from_then_on() {
    let rig = Rig::start();
    let volume = rig.volume(MIB);
    let mut host = rig.host(&volume);
    // As a revert does it: the same name, another file.
    let beside = rig.dir.path().join("beside");
    std::fs::write(&beside, vec![7; 1 << 20]).unwrap();
    std::fs::rename(&beside, &volume.path).unwrap();
    let done = rig.wait(rig.client.export(&volume.export(MIB))).unwrap();
    assert_eq!(done, Done::Changed);
    assert!(host.is_closed());
    assert_eq!(rig.host(&volume).read(0, 1).data, [7; 512]);
    let done = rig.wait(rig.client.export(&volume.export(MIB))).unwrap();
    assert_eq!(done, Done::AlreadySo);
}

#[test]
fn a_volume_never_shrinks() {
    let rig = Rig::start();
    let volume = rig.volume(2 * MIB);
    let mut host = rig.host(&volume);
    let done = rig.wait(rig.client.resize(volume.id, MIB)).unwrap();
    assert_eq!(done, Done::AlreadySo);
    let shrunk = rig.wait(rig.client.export(&volume.export(MIB)));
    assert!(matches!(shrunk, Err(TargetError::Refused { .. })));
    let end = 2 * MIB / 512 - 1;
    assert_eq!(host.write(end, &[1; 512]).status, 0);
}

#[test]
fn writes_are_noted_and_held_and_let_go() {
    let rig = Rig::start();
    let volume = rig.volume(4 * MIB);
    let mut host = rig.host(&volume);
    let live = rig
        .wait(rig.client.live_writes(volume.id))
        .unwrap()
        .unwrap();
    assert_eq!(host.write(0, &[1; 512]).status, 0);
    rig.wait(live.track()).unwrap();
    assert_eq!(rig.wait(live.dirty()).unwrap(), []);
    assert_eq!(host.write(2048, &[1; 512]).status, 0);
    let mut same = rw16(0x93, 4096, 300);
    same[1] = 0x08;
    assert_eq!(
        host.run(&same, 0, &[0; 512]).status,
        0,
        "write same, unmapping"
    );
    assert_eq!(
        rig.wait(live.dirty()).unwrap(),
        [(MIB, 65536), (2 * MIB, 3 * 65536)]
    );
    rig.wait(live.pause(5000)).unwrap();
    host.start(&rw16(0x8a, 0, 1), 0, &[2; 512]);
    // Reads go on, and show that the write is held.
    let mut reader = rig.host_at(&volume, 77);
    assert_eq!(reader.read(0, 1).data, [1; 512]);
    assert_eq!(
        rig.wait(live.dirty()).unwrap(),
        [],
        "held before it is noted"
    );
    rig.wait(live.resume()).unwrap();
    assert_eq!(host.finish(&[2; 512]).status, 0);
    assert_eq!(reader.read(0, 1).data, [2; 512]);
    assert!(rig.wait(live.dirty()).is_err(), "resume ended the tracking");
}

#[test]
fn a_pause_ends_by_itself_and_its_resume_says_so() {
    let rig = Rig::start();
    let volume = rig.volume(MIB);
    let mut host = rig.host(&volume);
    let live = rig
        .wait(rig.client.live_writes(volume.id))
        .unwrap()
        .unwrap();
    assert!(rig.wait(live.pause(100)).is_err(), "not tracked");
    rig.wait(live.track()).unwrap();
    let begin = Instant::now();
    rig.wait(live.pause(200)).unwrap();
    assert_eq!(host.write(0, &[1; 512]).status, 0, "held, not failed");
    assert!(begin.elapsed() >= Duration::from_millis(200));
    let broken = rig.wait(live.resume()).unwrap_err();
    assert!(broken.why.contains("ended by itself"), "{}", broken.why);
}

#[test]
fn a_pause_ends_with_the_connection_that_asked_for_it() {
    let rig = Rig::start();
    let volume = rig.volume(MIB);
    let mut host = rig.host(&volume);
    let live = rig
        .wait(rig.client.live_writes(volume.id))
        .unwrap()
        .unwrap();
    rig.wait(live.track()).unwrap();
    rig.wait(live.pause(10_000)).unwrap();
    let begin = Instant::now();
    host.start(&rw16(0x8a, 0, 1), 0, &[2; 512]);
    drop(live);
    assert_eq!(host.finish(&[2; 512]).status, 0);
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "not by its deadline"
    );
    let next = rig
        .wait(rig.client.live_writes(volume.id))
        .unwrap()
        .unwrap();
    rig.wait(next.track()).unwrap();
}

#[test]
fn nonsense_on_the_control_socket_is_answered_or_closed() {
    let rig = Rig::start();
    let socket = rig.dir.path().join("target/control.sock");
    let mut control = UnixStream::connect(&socket).unwrap();
    control
        .write_all(b"{\"op\":\"allow\",\"secret\":\"hush-hush\"}\n{}\n")
        .unwrap();
    let mut lines = BufReader::new(&control).lines();
    for _ in 0..2 {
        let line = lines.next().unwrap().unwrap();
        assert!(line.contains("refused") && !line.contains("hush"), "{line}");
    }
    let mut control = UnixStream::connect(&socket).unwrap();
    // Longer than a line may be; the target may close before it has read all.
    let _closed = control.write_all(&vec![b'x'; 1 << 20]);
    let mut rest = Vec::new();
    assert!(control.read_to_end(&mut rest).is_err() || rest.is_empty());
    rig.wait(rig.client.hello()).unwrap();
}

#[test]
fn stopping_only_when_idle_spares_a_logged_in_host() {
    let rig = Rig::start();
    let volume = rig.volume(MIB);
    let mut host = rig.host(&volume);
    assert_eq!(rig.wait(rig.client.stop(true)).unwrap(), Done::AlreadySo);
    assert_eq!(host.write(0, &[1; 512]).status, 0);
    assert_eq!(rig.wait(rig.client.stop(false)).unwrap(), Done::Changed);
    assert!(host.is_closed());
    drop(rig.stop());
}

#[test]
fn a_target_that_listens_and_does_not_answer_is_given_up_soon() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("target")).unwrap();
    // As a stopped process leaves it: the kernel still connects.
    let _silent = UnixListener::bind(dir.path().join("target/control.sock")).unwrap();
    let client = IscsiTarget::new(dir.path(), IQN_PREFIX, Vec::new());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let begin = Instant::now();
    let answer = runtime.block_on(client.hello());
    let Err(TargetError::Unavailable { source, .. }) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(source.kind(), ErrorKind::TimedOut);
    assert!(begin.elapsed() < DEADLINE);
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a process of its own is what is tested"
)]
fn a_target_whose_log_nobody_reads_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("ashlar.toml");
    let state = dir.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let portal = free.local_addr().unwrap();
    drop(free);
    let text = format!(
        "state_dir = '{0}'\n[target]\nportals = ['{portal}']\n\
         [[backend]]\nname = 'a'\ndriver = 'file'\ndirectory = '{0}/pool'\n",
        state.display()
    );
    std::fs::write(&config, text).unwrap();
    let mut target = std::process::Command::new(env!("CARGO_BIN_EXE_ashlard"))
        .args(["target", "--config", config.to_str().unwrap()])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(target.stderr.take());
    let client = IscsiTarget::new(&state, IQN_PREFIX, Vec::new());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let begin = Instant::now();
    let hello = loop {
        match runtime.block_on(client.hello()) {
            Ok(hello) => break hello,
            Err(error) => assert!(begin.elapsed() < DEADLINE, "{error}"),
        }
    };
    // Logs that it refuses, and answers that it does.
    assert_eq!(hello.listening, [portal.to_string()]);
    let mut host = Initiator::connect(portal);
    let refused = host.log_in(HOST, "iqn.nobody", "user", SECRET);
    runtime.block_on(client.stop(false)).unwrap();
    assert!(target.wait().unwrap().success());
    assert_eq!(refused, Err(0x0203), "no such target");
}
