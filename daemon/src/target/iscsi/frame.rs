//! Cuts a byte stream into PDUs and joins responses into bytes, with padding and digests. Pure: it
//! is given bytes and gives PDUs, so that a fuzzer reaches all of it. A length is checked against
//! its limit before anything waits or allocates for it.

use super::pdu::{BHS_LEN, Bhs, PduError, RawPdu};
use super::response::Response;
use bytes::{Bytes, BytesMut};

/// Which digests are in force in both directions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Digests {
    /// CRC32C after the headers.
    pub header: bool,
    /// CRC32C after the data segment.
    pub data: bool,
}

/// What a byte stream must obey now.
#[derive(Debug, Clone, Copy)]
pub struct Framing {
    /// Digests in force.
    pub digests: Digests,
    /// Longest data segment accepted.
    pub segment_len_max: u32,
}

const DIGEST_LEN: usize = 4;

/// Takes one PDU off the front of `buffer`, or says how many bytes it needs in all.
pub fn take(buffer: &mut BytesMut, framing: Framing) -> Result<Taken, PduError> {
    let Some(head) = buffer.first_chunk::<BHS_LEN>() else {
        return Ok(Taken::Needs(BHS_LEN));
    };
    let bhs = Bhs(*head);
    let segment_len = bhs.data_len();
    if segment_len > framing.segment_len_max {
        let max = framing.segment_len_max;
        return Err(PduError::SegmentTooLong {
            len: segment_len,
            max,
        });
    }
    let digest = |on: bool| if on { DIGEST_LEN } else { 0 };
    let data_len = usize::try_from(segment_len).unwrap_or(usize::MAX);
    let padded_len = data_len.next_multiple_of(4);
    let head_len = BHS_LEN + bhs.ahs_len();
    let head_all = head_len + digest(framing.digests.header);
    let data_all = if data_len == 0 {
        0
    } else {
        padded_len + digest(framing.digests.data)
    };
    if buffer.len() < head_all {
        return Ok(Taken::Needs(head_all + data_all));
    }
    if framing.digests.header && !digest_matches(&buffer[..head_len], &buffer[head_len..head_all]) {
        return Err(PduError::HeaderDigest);
    }
    if buffer.len() < head_all + data_all {
        return Ok(Taken::Needs(head_all + data_all));
    }
    let mut headers = buffer.split_to(head_all).freeze();
    let ahs = headers.split_off(BHS_LEN).slice(..head_len - BHS_LEN);
    let body = buffer.split_to(data_all).freeze();
    let checked = data_len != 0 && framing.digests.data;
    if checked && !digest_matches(&body[..padded_len], &body[padded_len..]) {
        return Err(PduError::DataDigest);
    }
    Ok(Taken::Pdu(RawPdu {
        bhs,
        ahs,
        data: body.slice(..data_len),
    }))
}

/// The outcome of [`take`].
#[derive(Debug)]
pub enum Taken {
    /// One whole PDU.
    Pdu(RawPdu),
    /// The buffer must hold this many bytes before it can be one.
    Needs(usize),
}

fn digest_matches(bytes: &[u8], digest: &[u8]) -> bool {
    crc32c::crc32c(bytes).to_le_bytes() == *digest
}

/// Appends a response's bytes to `chunks`: its header (gathered in `headers`), data and padding.
pub fn put(response: Response, digests: Digests, headers: &mut BytesMut, chunks: &mut Vec<Bytes>) {
    headers.extend_from_slice(&response.bhs);
    if digests.header {
        headers.extend_from_slice(&crc32c::crc32c(&response.bhs).to_le_bytes());
    }
    chunks.push(headers.split().freeze());
    if response.data.is_empty() {
        return;
    }
    let padding = [0; 3];
    let padding = &padding[..response.data.len().next_multiple_of(4) - response.data.len()];
    headers.extend_from_slice(padding);
    if digests.data {
        let crc = crc32c::crc32c_append(crc32c::crc32c(&response.data), padding);
        headers.extend_from_slice(&crc.to_le_bytes());
    }
    chunks.push(response.data);
    if !headers.is_empty() {
        chunks.push(headers.split().freeze());
    }
}

#[cfg(test)]
mod tests {
    use super::{Digests, Framing, Taken, put, take};
    use crate::target::iscsi::pdu::{PduError, decode};
    use crate::target::iscsi::response::{DataAt, Residual, Response};
    use bytes::{Bytes, BytesMut};
    use proptest::prelude::{Just, Strategy, any, prop, prop_oneof};

    fn framing(header: bool, data: bool) -> Framing {
        Framing {
            digests: Digests { header, data },
            segment_len_max: 4096,
        }
    }

    fn joined(response: Response, digests: Digests) -> BytesMut {
        let mut chunks = Vec::new();
        put(response, digests, &mut BytesMut::new(), &mut chunks);
        chunks.concat().as_slice().into()
    }

    fn some_bytes() -> impl Strategy<Value = Vec<u8>> {
        let opcode = prop_oneof![Just(1_u8), Just(3), Just(5), Just(0x41), any::<u8>()];
        (opcode, prop::collection::vec(any::<u8>(), 0..2000)).prop_map(|(opcode, mut bytes)| {
            if let Some(first) = bytes.first_mut() {
                *first = opcode;
            }
            // Small lengths often, so that whole PDUs come about.
            if bytes.len() > 7 && opcode & 1 == 1 {
                bytes[4] &= 3;
                bytes[5] = 0;
                bytes[6] = 0;
            }
            bytes
        })
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_get_an_answer(bytes in some_bytes(), header: bool, data: bool) {
            let mut buffer = BytesMut::from(bytes.as_slice());
            for _ in 0..64 {
                let before = buffer.len();
                match take(&mut buffer, framing(header, data)) {
                    Ok(Taken::Pdu(pdu)) => {
                        proptest::prop_assert!(buffer.len() < before);
                        let _outcome = decode(pdu);
                    }
                    Ok(Taken::Needs(len)) => {
                        proptest::prop_assert!(len > before);
                        break;
                    }
                    Err(_) => break,
                }
            }
        }

        #[test]
        fn what_is_put_is_taken(
            len in 0_usize..4096, header: bool, data: bool, itt: u32, offset: u32, last: bool
        ) {
            let payload = Bytes::from(vec![0xa5; len]);
            let at = DataAt { data_sn: 7, offset, last };
            let response = Response::data_in(itt, at, Some(Residual::None), payload.clone());
            let mut bytes = joined(response, framing(header, data).digests);
            proptest::prop_assert_eq!(bytes.len() % 4, 0);
            let Ok(Taken::Pdu(pdu)) = take(&mut bytes, framing(header, data)) else {
                panic!("a whole PDU was put");
            };
            proptest::prop_assert!(bytes.is_empty());
            proptest::prop_assert_eq!(pdu.data, payload);
            proptest::prop_assert_eq!(pdu.bhs.itt(), itt);
            proptest::prop_assert_eq!(pdu.bhs.word(40), offset);
        }

        #[test]
        fn a_flipped_bit_under_a_digest_is_seen(len in 1_usize..200, bit in 0_usize..400) {
            let digests = framing(true, true).digests;
            let at = DataAt { data_sn: 0, offset: 0, last: true };
            let response = Response::data_in(1, at, None, Bytes::from(vec![1; len]));
            let mut bytes = joined(response, digests);
            let bit = bit % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            proptest::prop_assert!(!matches!(
                take(&mut bytes, framing(true, true)), Ok(Taken::Pdu(_))
            ));
        }
    }

    #[test]
    fn digests_are_the_rfcs() {
        // RFC 7143 appendix A.4: 32 bytes of zeros, of ones, and 0 to 31.
        let up: Vec<u8> = (0..32).collect();
        for (bytes, digest) in [
            (vec![0; 32], [0xaa, 0x36, 0x91, 0x8a]),
            (vec![0xff; 32], [0x43, 0xab, 0xa8, 0x62]),
            (up, [0x4e, 0x79, 0xdd, 0x46]),
        ] {
            assert!(super::digest_matches(&bytes, &digest));
        }
    }

    #[test]
    fn a_length_above_the_limit_is_refused_before_its_data_is_there() {
        let mut bytes = BytesMut::zeroed(48);
        bytes[5..8].copy_from_slice(&[0xff; 3]);
        let refused = take(&mut bytes, framing(false, false)).err();
        assert_eq!(
            refused,
            Some(PduError::SegmentTooLong {
                len: 0x00ff_ffff,
                max: 4096
            })
        );
    }
}
