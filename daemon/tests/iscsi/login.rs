//! Who gets in: every way round CHAP that an initiator can try ends in a login reject with the
//! right status, and in a closed connection.

use crate::rig::{HOST, Initiator, OTHER_HOST, Rig, SECRET, USER, Volume, chap_response, ok, rw16};
use ashlar_daemon::target::Credentials;

const AUTHENTICATION: u16 = 0x0201;
const FORBIDDEN: u16 = 0x0202;
const NOT_FOUND: u16 = 0x0203;
const INVALID: u16 = 0x020b;

type Step<'a> = (u8, Vec<(&'a str, &'a str)>);

/// Plays login steps; the status that refuses one of them.
fn refusal(rig: &Rig, steps: &[Step<'_>]) -> Option<u16> {
    let mut initiator = Initiator::connect(rig.portal);
    for (flags, pairs) in steps {
        let answer = initiator.login_step(*flags, pairs).unwrap();
        if let Err(status) = ok(&answer) {
            assert!(initiator.is_closed(), "refused, so closed");
            return Some(status);
        }
        assert_ne!(
            answer.head[1] & 0x83,
            0x83,
            "never into the full feature phase"
        );
    }
    None
}

fn names(volume: &Volume) -> Vec<(&str, &str)> {
    vec![("InitiatorName", HOST), ("TargetName", &volume.iqn)]
}

fn with<'a>(volume: &'a Volume, key: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut pairs = names(volume);
    pairs.push((key, value));
    pairs
}

#[test]
fn the_right_secret_gets_in() {
    let rig = Rig::start();
    let volume = rig.volume(1 << 20);
    let mut host = rig.host(&volume);
    assert_eq!(host.read(0, 1).data, vec![0; 512]);
}

type Attempt<'a> = (&'a str, Vec<Step<'a>>, u16);

/// Ways that leave the security stage out.
fn skipping(volume: &Volume) -> Vec<Attempt<'_>> {
    let method = |method| with(volume, "AuthMethod", method);
    vec![
        (
            "the stage skipped",
            vec![(0x87, names(volume))],
            AUTHENTICATION,
        ),
        (
            "skipped, staying",
            vec![(0x04, names(volume))],
            AUTHENTICATION,
        ),
        (
            "no method, full feature",
            vec![(0x83, names(volume))],
            AUTHENTICATION,
        ),
        (
            "no method, operational",
            vec![(0x81, names(volume))],
            AUTHENTICATION,
        ),
        ("None", vec![(0x83, method("None"))], AUTHENTICATION),
        ("an empty method", vec![(0x83, method(""))], AUTHENTICATION),
        (
            "unknown methods",
            vec![(0x81, method("KRB5,SRP"))],
            AUTHENTICATION,
        ),
        ("full feature at once", vec![(0x8f, names(volume))], INVALID),
        ("no such stage", vec![(0x88, names(volume))], INVALID),
        (
            "the next stage unasked",
            vec![(0x81, method("CHAP")), (0x87, vec![])],
            INVALID,
        ),
        (
            "leaving before CHAP_A",
            vec![(0x00, method("CHAP")), (0x83, vec![])],
            AUTHENTICATION,
        ),
    ]
}

/// Ways that begin CHAP and do not end it.
fn cheating(volume: &Volume) -> Vec<Attempt<'_>> {
    let begin = || (0x00, with(volume, "AuthMethod", "CHAP"));
    let ask = || (0x00, vec![("CHAP_A", "5")]);
    let proof = |response| (0x83, vec![("CHAP_N", USER), ("CHAP_R", response)]);
    let wrong = "0x00112233445566778899aabbccddeeff";
    let renamed = (0x00, vec![("InitiatorName", OTHER_HOST)]);
    let again = (0x00, vec![("AuthMethod", "None")]);
    let unknown = (0x00, vec![("CHAP_A", "6,8")]);
    let leave = (0x83, vec![]);
    vec![
        (
            "leaving before the answer",
            vec![begin(), ask(), leave],
            AUTHENTICATION,
        ),
        (
            "an answer unasked",
            vec![begin(), proof(wrong)],
            AUTHENTICATION,
        ),
        (
            "a wrong answer",
            vec![begin(), ask(), proof(wrong)],
            AUTHENTICATION,
        ),
        (
            "an empty answer",
            vec![begin(), ask(), proof("0x")],
            AUTHENTICATION,
        ),
        (
            "an answer that is no number",
            vec![begin(), ask(), proof("zz")],
            AUTHENTICATION,
        ),
        (
            "an unknown algorithm",
            vec![begin(), unknown],
            AUTHENTICATION,
        ),
        ("another name half way", vec![begin(), renamed], INVALID),
        ("the method twice", vec![begin(), again], INVALID),
    ]
}

#[test]
fn no_way_round_chap() {
    let rig = Rig::start();
    let volume = rig.volume(1 << 20);
    for (what, steps, status) in skipping(&volume).iter().chain(&cheating(&volume)) {
        assert_eq!(refusal(&rig, steps), Some(*status), "{what}");
    }
    let stranger = [("InitiatorName", OTHER_HOST), ("TargetName", &volume.iqn)];
    assert_eq!(refusal(&rig, &[(0x83, stranger.to_vec())]), Some(FORBIDDEN));
    let nowhere = [("InitiatorName", HOST), ("TargetName", "iqn.nowhere")];
    assert_eq!(refusal(&rig, &[(0x83, nowhere.to_vec())]), Some(NOT_FOUND));
    assert!(rig.wait(rig.sessions()).is_empty());
}

#[test]
fn user_and_secret_must_both_be_right_and_answers_are_good_once() {
    let rig = Rig::start();
    let volume = rig.volume(1 << 20);
    let attempt =
        |user, secret| Initiator::connect(rig.portal).log_in(HOST, &volume.iqn, user, secret);
    assert_eq!(attempt("somebody", SECRET), Err(AUTHENTICATION));
    assert_eq!(attempt(USER, "another-secret--"), Err(AUTHENTICATION));
    assert_eq!(attempt(USER, SECRET), Ok(()));

    let mut first = Initiator::connect(rig.portal);
    first
        .login_step(0x81, &with(&volume, "AuthMethod", "CHAP"))
        .unwrap();
    let challenge = first.login_step(0x00, &[("CHAP_A", "5")]).unwrap();
    let response = chap_response(&challenge, SECRET);
    let replay = vec![("CHAP_N", USER), ("CHAP_R", response.as_str())];
    let chap = with(&volume, "AuthMethod", "CHAP");
    let steps = [(0x00, chap), (0x00, vec![("CHAP_A", "5")]), (0x83, replay)];
    assert_eq!(refusal(&rig, &steps), Some(AUTHENTICATION));
}

#[test]
fn mutual_chap_proves_the_target_and_refuses_its_own_challenge() {
    let rig = Rig::start();
    let volume = rig.volume(1 << 20);
    let secret = "target-own-secret";
    let mutual = Credentials {
        user: "target".to_owned(),
        secret: secret.to_owned().into(),
    };
    rig.allow_mutual(&volume, mutual);
    // It is for the host to ask.
    rig.host(&volume);

    for reflected in [false, true] {
        let mut host = Initiator::connect(rig.portal);
        host.login_step(0x81, &with(&volume, "AuthMethod", "CHAP"))
            .unwrap();
        let challenge = host.login_step(0x00, &[("CHAP_A", "5")]).unwrap();
        let response = chap_response(&challenge, SECRET);
        let theirs = challenge.key("CHAP_C").unwrap();
        let ours = format!("0x{}", "5a".repeat(16));
        let sent = if reflected { &theirs } else { &ours };
        let proof = [
            ("CHAP_N", USER),
            ("CHAP_R", response.as_str()),
            ("CHAP_I", "9"),
            ("CHAP_C", sent),
        ];
        let mut answer = host.login_step(0x81, &proof).unwrap();
        if reflected {
            assert_eq!(ok(&answer), Err(AUTHENTICATION));
            continue;
        }
        assert_eq!(ok(&answer), Ok(()));
        let (name, proven) = (answer.key("CHAP_N"), answer.key("CHAP_R"));
        assert_eq!(name.as_deref(), Some("target"));
        answer.data = format!("CHAP_I=9\0CHAP_C={ours}\0").into_bytes();
        assert_eq!(proven.unwrap(), chap_response(&answer, secret));
    }
}

#[test]
fn discovery_shows_an_initiator_its_own_targets_only_and_runs_no_commands() {
    let rig = Rig::start();
    let (mine, other) = (rig.volume(1 << 20), rig.volume(1 << 20));
    rig.wait(rig.deny(&other, HOST));
    rig.allow(&other, OTHER_HOST, SECRET, false);
    let mut host = Initiator::connect(rig.portal);
    let names = [
        ("InitiatorName", HOST),
        ("SessionType", "Discovery"),
        ("AuthMethod", "None"),
    ];
    ok(&host.login_step(0x83, &names).unwrap()).unwrap();
    let mut head = [0; 48];
    head[0] = 0x44;
    head[1] = 0x80;
    head[20..24].copy_from_slice(&[0xff; 4]);
    host.send(head, b"SendTargets=All\0");
    let answer = host.receive().unwrap();
    let portal = format!("{},1", rig.portal);
    let expected = vec![
        ("TargetName".to_owned(), mine.iqn),
        ("TargetAddress".to_owned(), portal),
    ];
    assert_eq!(answer.keys(), expected);
    let read = host.command_head(&rw16(0x88, 0, 1), 512, 0);
    host.send(read, &[]);
    assert_eq!(host.receive().unwrap().opcode(), 0x3f, "a reject");
}

#[test]
fn a_command_before_the_login_closes_the_connection() {
    let rig = Rig::start();
    let mut stranger = Initiator::connect(rig.portal);
    let read = stranger.command_head(&rw16(0x88, 0, 1), 512, 0);
    stranger.send(read, &[]);
    assert!(stranger.is_closed());
}

#[test]
fn new_credentials_replace_the_old() {
    let rig = Rig::start();
    let volume = rig.volume(1 << 20);
    rig.allow(&volume, HOST, "a-newer-secret--", false);
    let log_in = |secret| Initiator::logged_in(rig.portal, HOST, &volume.iqn, secret).err();
    assert_eq!(log_in(SECRET), Some(AUTHENTICATION));
    assert_eq!(log_in("a-newer-secret--"), None);
}
