//! Commands as hosts send them, and as they never should.

use crate::rig::{HOST, Initiator, OTHER_HOST, Rig, SECRET, rw16};
use ashlar_daemon::target::Target;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

const MIB: u64 = 1 << 20;

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

#[test]
fn what_is_written_is_read_and_in_the_file() {
    let rig = Rig::start();
    let volume = rig.volume(8 * MIB);
    let mut host = rig.host(&volume);
    let data = pattern(3 << 20);
    assert_eq!(host.write(16, &data).status, 0);
    assert_eq!(
        host.run(&rw16(0x91, 0, 0), 0, &[]).status,
        0,
        "synchronize cache"
    );
    assert!(
        host.read(16, data.len() / 512).data == data,
        "read back equal"
    );
    let file = std::fs::read(&volume.path).unwrap();
    assert!(file[8192..8192 + data.len()] == data, "in the file");
    let moved = rig.wait(rig.sessions());
    assert_eq!(moved.len(), 1);
    assert_eq!(moved[0].initiator, HOST);
    assert_eq!(
        (moved[0].read_bytes, moved[0].written_bytes),
        (3 * MIB, 3 * MIB)
    );
}

#[test]
fn out_of_range_and_unknown_commands_have_their_sense() {
    let rig = Rig::start();
    let volume = rig.volume(8 * MIB);
    let mut host = rig.host(&volume);
    let last = 8 * MIB / 512 - 1;
    assert_eq!(host.read(last, 1).status, 0);
    for (lba, blocks) in [(last, 2), (last + 1, 1), (u64::MAX, 1), (u64::MAX, 0)] {
        assert_eq!(
            host.read(lba, blocks).sense,
            Some((5, 0x21, 0)),
            "{lba} {blocks}"
        );
    }
    assert_eq!(
        host.run(&[0, 0, 0, 0, 0, 4], 0, &[]).sense,
        Some((5, 0x24, 0)),
        "NACA"
    );
    assert_eq!(
        host.run(&[0xc1, 0, 0, 0, 0, 0], 0, &[]).sense,
        Some((5, 0x20, 0))
    );
    assert_eq!(
        host.read(0, 8193).sense,
        Some((5, 0x24, 0)),
        "above the transfer limit"
    );
}

#[test]
fn a_lun_that_does_not_exist_says_so() {
    let rig = Rig::start();
    let volume = rig.volume(MIB);
    let mut host = rig.host(&volume);
    for (cdb, sense) in [
        (vec![0; 6], Some((5, 0x25, 0))),
        (vec![0x12, 0, 0, 0, 96, 0], None),
    ] {
        let mut head = host.command_head(&cdb, 96, 0);
        head[9] = 1;
        host.send(head, &[]);
        let reply = host.finish(&[]);
        assert_eq!(reply.sense, sense);
        if sense.is_none() {
            assert_eq!(reply.data[0], 0x7f, "no device there");
        }
    }
}

#[test]
fn names_are_stable_and_two_volumes_differ() {
    let rig = Rig::start();
    let (one, other) = (rig.volume(MIB), rig.volume(MIB));
    let page = |volume, page| {
        let mut host = rig.host(volume);
        host.run(&[0x12, 1, page, 0, 255, 0], 255, &[]).data
    };
    let serial = page(&one, 0x80);
    let id = one.id.to_string().replace('-', "");
    assert_eq!(&serial[4..], id.as_bytes());
    assert_eq!(page(&one, 0x83), page(&one, 0x83));
    assert_ne!(page(&one, 0x83), page(&other, 0x83));
    let naa = &page(&one, 0x83)[4..];
    assert_eq!(
        (naa[1] & 0xf, naa[3], naa[4] >> 4),
        (3, 16, 6),
        "an NAA 6 name of the unit"
    );
}

fn surplus_immediate_data(host: &mut Initiator) {
    let head = host.command_head(&rw16(0x8a, 0, 1), 0, 512);
    host.send(head, &[0; 4096]);
}

fn immediate_data_on_a_read(host: &mut Initiator) {
    let head = host.command_head(&rw16(0x88, 0, 1), 512, 0);
    host.send(head, &[0; 512]);
}

fn a_data_segment_of_16_mib(host: &mut Initiator) {
    let mut head = host.command_head(&rw16(0x8a, 0, 1), 0, 512);
    head[5..8].copy_from_slice(&[0xff; 3]);
    host.send_raw(&head, &[]);
}

fn an_additional_header_beyond_its_space(host: &mut Initiator) {
    let mut head = host.command_head(&rw16(0x88, 0, 1), 512, 0);
    head[4] = 2;
    host.send_raw(&head, &[0xff; 8]);
}

fn an_opcode_of_the_target(host: &mut Initiator) {
    let mut head = [0; 48];
    head[0] = 0x21;
    host.send(head, &[]);
}

fn a_login(host: &mut Initiator) {
    let mut head = [0; 48];
    head[0] = 0x43;
    host.send(head, &[]);
}

fn a_command_number_left_out(host: &mut Initiator) {
    host.cmd_sn += 1;
    host.start(&[0; 6], 0, &[]);
}

/// The header of a Data-Out that answers the R2T of a write of two blocks.
fn asked_for(host: &mut Initiator) -> [u8; 48] {
    let head = host.command_head(&rw16(0x8a, 0, 2), 0, 1024);
    host.send(head, &[]);
    let r2t = host.receive().unwrap();
    let mut data = [0; 48];
    data[0] = 0x05;
    data[1] = 0x80;
    data[16..24].copy_from_slice(&r2t.head[16..24]);
    data
}

fn data_beyond_what_was_asked_for(host: &mut Initiator) {
    let data = asked_for(host);
    host.send(data, &[0; 2048]);
}

fn data_at_another_offset(host: &mut Initiator) {
    let mut data = asked_for(host);
    data[43] = 0xff;
    host.send(data, &[0; 512]);
}

#[test]
fn pdus_that_break_the_rules_end_their_connection_and_nothing_else() {
    let rig = Rig::start();
    let volume = rig.volume(MIB);
    let mut other = rig.host_at(&volume, 9);
    type Bad = fn(&mut Initiator);
    let cases: [(&str, Bad); 9] = [
        ("surplus immediate data", surplus_immediate_data),
        ("immediate data on a read", immediate_data_on_a_read),
        ("a data segment of 16 MiB", a_data_segment_of_16_mib),
        (
            "an additional header beyond its space",
            an_additional_header_beyond_its_space,
        ),
        ("an opcode of the target", an_opcode_of_the_target),
        ("a login", a_login),
        ("a command number left out", a_command_number_left_out),
        (
            "data beyond what was asked for",
            data_beyond_what_was_asked_for,
        ),
        ("data at another offset", data_at_another_offset),
    ];
    for (what, bad) in cases {
        let mut host = rig.host(&volume);
        bad(&mut host);
        assert!(host.is_closed(), "{what}");
    }
    assert_eq!(other.read(0, 1).status, 0, "another session goes on");
}

#[test]
fn absurd_lengths_are_answered_without_memory() {
    let rig = Rig::start();
    let volume = rig.volume(MIB);
    let mut host = rig.host(&volume);
    // WRITE (16) of 0xffffffff blocks: 2 TiB that the initiator says it will send.
    for (cdb, expected) in [
        (rw16(0x8a, 0, 0xffff_ffff), (5, 0x21, 0)),
        (rw16(0x8e, 0, 0xffff_ffff), (5, 0x21, 0)),
        (rw16(0x93, 0, 0xffff_ffff), (5, 0x21, 0)),
        (rw16(0x8f, 0, 0xffff_ffff), (5, 0x21, 0)),
    ] {
        let mut head = host.command_head(&cdb, 0, u32::MAX);
        head[1] = 0xa0;
        host.send(head, &[]);
        assert_eq!(host.finish(&[]).sense, Some(expected), "{:#04x}", cdb[0]);
    }
    // GET LBA STATUS and REPORT LUNS with room for 4 GiB.
    let mut status = rw16(0x9e, 0, 0xffff_ffff);
    status[1] = 0x12;
    assert_eq!(host.run(&status, u32::MAX, &[]).status, 0);
    let luns = [0xa0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0];
    assert_eq!(host.run(&luns, u32::MAX, &[]).data.len(), 16);
}

#[test]
fn unmap_gives_space_back_and_reads_as_zeros() {
    let rig = Rig::start();
    let volume = rig.volume(4 * MIB);
    let mut host = rig.host(&volume);
    assert_eq!(host.write(0, &pattern(1 << 20)).status, 0);
    assert_eq!(host.run(&rw16(0x91, 0, 0), 0, &[]).status, 0);
    let before = std::fs::metadata(&volume.path).unwrap().blocks();
    let mut list = vec![0, 22, 0, 16, 0, 0, 0, 0];
    list.extend_from_slice(&0_u64.to_be_bytes());
    list.extend_from_slice(&1024_u32.to_be_bytes());
    list.extend_from_slice(&[0; 4]);
    let unmap = [0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0];
    assert_eq!(host.run(&unmap, 0, &list).status, 0);
    let after = std::fs::metadata(&volume.path).unwrap().blocks();
    assert!(
        after + 1000 <= before,
        "{before} blocks before, {after} after"
    );
    assert!(host.read(0, 1024).data.iter().all(|byte| *byte == 0));
    assert!(host.read(1024, 1024).data.iter().any(|byte| *byte != 0));
    // A descriptor beyond the end: nothing of the list is obeyed.
    list[8..16].copy_from_slice(&(4 * MIB / 512).to_be_bytes());
    assert_eq!(host.run(&unmap, 0, &list).sense, Some((5, 0x21, 0)));
}

#[test]
fn growing_a_volume_is_told_to_every_session_and_served() {
    let rig = Rig::start();
    let volume = rig.volume(MIB);
    let mut host = rig.host(&volume);
    assert_eq!(host.read(2048, 1).sense, Some((5, 0x21, 0)));
    std::fs::File::options()
        .write(true)
        .open(&volume.path)
        .unwrap()
        .set_len(2 * MIB)
        .unwrap();
    rig.wait(rig.client.resize(volume.id, 2 * MIB)).unwrap();
    assert_eq!(host.run(&[0; 6], 0, &[]).sense, Some((6, 0x2a, 9)));
    let mut capacity = rw16(0x9e, 0, 32);
    capacity[1] = 0x10;
    let capacity = host.run(&capacity, 32, &[]).data;
    assert_eq!(capacity[..8], (2 * MIB / 512 - 1).to_be_bytes());
    assert_eq!(host.read(2048, 1).status, 0);
}

#[test]
fn a_read_only_initiator_cannot_write() {
    let rig = Rig::start();
    let volume = rig.volume(MIB);
    rig.allow(&volume, OTHER_HOST, SECRET, true);
    let mut reader = Initiator::logged_in(rig.portal, OTHER_HOST, &volume.iqn, SECRET).unwrap();
    assert_eq!(reader.write(0, &[1; 512]).sense, Some((7, 0x27, 0)));
    let mode = reader.run(&[0x1a, 0, 0x3f, 0, 255, 0], 255, &[]).data;
    assert_eq!(mode[2] & 0x80, 0x80, "the write protect bit");
    assert_eq!(rig.host(&volume).write(0, &[1; 512]).status, 0);
}

#[test]
fn compare_and_write_writes_only_over_what_was_expected() {
    let rig = Rig::start();
    let volume = rig.volume(MIB);
    let mut host = rig.host(&volume);
    let mut cdb = rw16(0x89, 8, 0);
    cdb[13] = 1;
    let swap = |from: u8, to: u8| [[from; 512], [to; 512]].concat();
    assert_eq!(host.run(&cdb, 0, &swap(0, 1)).status, 0);
    assert_eq!(host.run(&cdb, 0, &swap(0, 2)).sense, Some((0xe, 0x1d, 0)));
    assert_eq!(host.read(8, 1).data, [1; 512]);
}

#[test]
fn a_newer_login_of_the_same_port_ends_the_older_session() {
    let rig = Rig::start();
    let volume = rig.volume(MIB);
    let mut older = rig.host(&volume);
    let mut newer = rig.host(&volume);
    assert!(older.is_closed());
    assert_eq!(newer.read(0, 1).status, 0);
    assert_eq!(rig.wait(rig.sessions()).len(), 1);
}

#[test]
fn an_aborted_write_that_waits_for_its_data_never_lands() {
    let rig = Rig::start();
    let volume = rig.volume(MIB);
    let mut host = rig.host(&volume);
    let head = host.command_head(&rw16(0x8a, 0, 2), 0, 1024);
    host.send(head, &[]);
    assert_eq!(host.receive().unwrap().opcode(), 0x31);
    let mut abort = [0; 48];
    abort[0] = 0x42;
    abort[1] = 0x81;
    abort[16..20].copy_from_slice(&0x7777_u32.to_be_bytes());
    abort[20..24].copy_from_slice(&head[16..20]);
    abort[24..28].copy_from_slice(&host.cmd_sn.to_be_bytes());
    host.send(abort, &[]);
    let answer = host.receive().unwrap();
    assert_eq!((answer.opcode(), answer.head[2]), (0x22, 0), "complete");
    let mut data = [0; 48];
    data[0] = 0x05;
    data[1] = 0x80;
    data[16..20].copy_from_slice(&head[16..20]);
    host.send(data, &[1; 1024]);
    assert_eq!(host.read(0, 2).data, vec![0; 1024]);
}

#[test]
fn a_full_window_of_writes_is_gathered_within_the_sessions_memory() {
    let rig = Rig::start();
    let volume = rig.volume(64 * MIB);
    let mut host = rig.host(&volume);
    // Each asks for 1 MiB; together they are above what a session may hold, so that some wait.
    let data = pattern(1 << 20);
    let heads: Vec<_> = (0..48)
        .map(|at| {
            let head = host.command_head(&rw16(0x8a, at * 2048, 2048), 0, 1 << 20);
            host.send(head, &[]);
            head
        })
        .collect();
    for _ in &heads {
        assert_eq!(host.finish(&data).status, 0);
    }
    for at in [0, 47 * 2048] {
        assert!(host.read(at, 2048).data == data);
    }
}

/// How many bytes of `pdu` after `pdu` the target takes from a host that reads no answers, up to 96 MiB.
fn taken_unread(host: &mut Initiator, pdu: &[u8]) -> usize {
    const LIMIT: usize = 96 << 20;
    let batch = pdu.repeat((1 << 16) / pdu.len() + 1);
    let mut taken = 0;
    while taken < LIMIT && host.send_within(&batch, Duration::from_secs(2)) {
        taken += batch.len();
    }
    taken
}

#[test]
fn a_host_that_never_reads_its_answers_is_not_listened_to_for_ever() {
    const MEMORY: usize = 64 << 20;
    let rig = Rig::start();
    let volume = rig.volume(MIB);
    let mut snack = [0; 48];
    snack[0] = 0x10;
    let mut ping = vec![0; 48 + 4096];
    ping[0] = 0x40;
    ping[6] = 0x10;
    ping[20..24].fill(0xff);
    for (port, pdu) in [(1, &snack[..]), (2, &ping)] {
        let mut host = rig.host_at(&volume, port);
        assert!(taken_unread(&mut host, pdu) < MEMORY, "{:#04x}", pdu[0]);
    }
    assert_eq!(rig.host(&volume).read(0, 1).status, 0);
}

#[test]
fn a_verification_of_everything_at_once_is_refused() {
    let rig = Rig::start();
    let volume = rig.volume(1 << 40);
    let mut host = rig.host(&volume);
    let whole = usize::try_from((1_u64 << 31) - 1).unwrap();
    let refused = host.run(&rw16(0x8f, 0, whole), 0, &[]);
    assert_eq!(refused.sense, Some((5, 0x24, 0)));
    assert_eq!(host.run(&rw16(0x8f, 0, 2048), 0, &[]).status, 0);
}

/// PERSISTENT RESERVE OUT of one action and type, with its two keys.
fn reserve(host: &mut Initiator, action: u8, kind: u8, keys: (u64, u64)) -> u8 {
    let cdb = [0x5f, action, kind, 0, 0, 0, 0, 0, 24, 0];
    let mut list = [0; 24];
    list[..8].copy_from_slice(&keys.0.to_be_bytes());
    list[8..16].copy_from_slice(&keys.1.to_be_bytes());
    host.run(&cdb, 0, &list).status
}

#[test]
fn a_write_that_waits_for_its_data_does_not_land_behind_a_reservation() {
    let rig = Rig::start();
    let volume = rig.volume(MIB);
    rig.allow(&volume, OTHER_HOST, SECRET, false);
    let mut fenced = rig.host(&volume);
    let mut fencing = Initiator::logged_in(rig.portal, OTHER_HOST, &volume.iqn, SECRET).unwrap();
    let data = pattern(32 << 10);
    fenced.start(&rw16(0x8a, 0, data.len() / 512), 0, &data);
    let r2t = fenced.receive().unwrap();
    assert_eq!(r2t.opcode(), 0x31, "it was let in, and waits");
    assert_eq!(reserve(&mut fencing, 0, 0, (0, 7)), 0);
    assert_eq!(reserve(&mut fencing, 1, 1, (7, 0)), 0);
    fenced.answer_r2t(&r2t, &data);
    assert_eq!(fenced.finish(&data).status, 0x18, "reservation conflict");
    assert_eq!(fencing.read(0, 1).data, [0; 512]);
}
