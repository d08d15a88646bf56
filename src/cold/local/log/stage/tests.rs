use super::*;
use crate::codec::record::{Kind, body_checksum};

const SEGMENT: u64 = 7;

/// A ring into which these records were put one after the other from `start` on, and where they end.
fn ring_of(start: u64, lengths: &[usize]) -> (Vec<u8>, Vec<u64>) {
    let mut ring = vec![0xee; RING_BYTES];
    let mut at = start;
    let mut ends = Vec::new();
    for (length, sequence) in lengths.iter().zip(1..) {
        let value = vec![b'v'; *length];
        let header = Header {
            kind: Kind::Value,
            codec: 0,
            expires: false,
            collides: false,
            chained: false,
            key_len: 1,
            stored_len: u32::try_from(*length).unwrap(),
            body_checksum: body_checksum(&[b"k", &value]),
            sequence,
            hash: 2,
        };
        let mut bytes = header.encode(Place { segment: SEGMENT, offset: at }).to_vec();
        bytes.push(b'k');
        bytes.extend(value);
        bytes.resize(usize::try_from(header.record_bytes()).unwrap(), 0);
        for byte in bytes {
            ring[ring_index(at)] = byte;
            at += 1;
        }
        ends.push(at);
    }
    (ring, ends)
}

#[test]
fn whatever_the_file_has_got_of_it_the_rest_is_found() {
    // Beside the edge of the ring, so that it is crossed too.
    for start in [64, RING_BYTES as u64 - 200, 5 * RING_BYTES as u64 - 8] {
        let (ring, ends) = ring_of(start, &[100, 0, 37, 700, 9]);
        let end = *ends.last().unwrap();
        for length in start..=end {
            let rest = rescue(&ring, SEGMENT, length).unwrap();
            assert_eq!(length + rest.len() as u64, end, "from {start}, the file has {length}");
            assert!((length..).zip(&rest).all(|(at, byte)| ring[ring_index(at)] == *byte));
        }
    }
}

#[test]
fn another_segment_or_another_turn_of_the_ring_has_nothing() {
    let (ring, ends) = ring_of(64, &[100, 200]);
    assert!(rescue(&ring, SEGMENT + 1, 64).unwrap().is_empty());
    assert!(rescue(&ring, SEGMENT, 64 + RING_BYTES as u64).unwrap().is_empty());
    assert!(rescue(&ring, SEGMENT, ends[1]).unwrap().is_empty());
    assert!(rescue(&ring, SEGMENT, 0).unwrap().is_empty());
    assert!(rescue(&[], SEGMENT, 64).unwrap().is_empty());
}

#[test]
fn a_damaged_byte_is_passed_over_and_a_lost_sector_ends_it() {
    let (ring, ends) = ring_of(64, &[100, 600, 100]);
    for at in 64..ends[2] {
        let mut damaged = ring.clone();
        damaged[ring_index(at)] ^= 0x81;
        assert_eq!(64 + rescue(&damaged, SEGMENT, 64).unwrap().len() as u64, ends[2], "byte {at}");
        damaged[ring_index(at + 20)] ^= 0x81;
        let found = 64 + rescue(&damaged, SEGMENT, 64).unwrap().len() as u64;
        let is_end = found == 64 || ends.contains(&found);
        assert!(is_end && found <= ends[2], "bytes {at} and behind it");
    }
    let mut lost = ring;
    lost[256..512].fill(0);
    assert_eq!(64 + rescue(&lost, SEGMENT, 64).unwrap().len() as u64, ends[0]);
}
