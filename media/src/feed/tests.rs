use proptest::prelude::*;

use super::*;

fn part() -> ObjectHead {
    ObjectHead {
        path: "/live/demo/3/source/12.0.m4s".to_owned(),
        status: 200,
        fields: vec![
            ("content-type".to_owned(), Bytes::from_static(b"video/mp4")),
            ("etag".to_owned(), Bytes::from_static(b"\"\xff\"")),
        ],
    }
}

/// All events of a feed that comes in these pieces, its bytes joined.
fn events(pieces: impl IntoIterator<Item = Bytes>) -> Result<Vec<Event>, FeedError> {
    let mut decoder = Decoder::new();
    let mut all = Vec::new();
    for mut piece in pieces {
        while let Some(event) = decoder.next(&mut piece)? {
            match (all.last_mut(), event) {
                (Some(Event::Data(known)), Event::Data(more)) => {
                    *known = [known.as_ref(), more.as_ref()].concat().into();
                }
                (_, event) => all.push(event),
            }
        }
        assert!(piece.is_empty(), "all that came is read");
    }
    decoder.finish()?;
    Ok(all)
}

fn pieces(whole: &[u8], length: usize) -> impl Iterator<Item = Bytes> {
    whole.chunks(length.max(1)).map(Bytes::copy_from_slice)
}

/// The prefix of an object, whatever follows.
fn prefix(kind: u8, path: u16, head: u16, size: u32) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(kind);
    out.put_u16(path);
    out.put_u16(head);
    out.put_u32(size);
    out.freeze()
}

#[test]
fn a_segment_is_made_of_the_parts_before_it() {
    let segment = ObjectHead {
        path: "/live/demo/3/source/12.m4s".to_owned(),
        ..part()
    };
    let whole = [
        &encode(&part(), Content::Bytes(3)).unwrap()[..],
        b"abc",
        &encode(&segment, Content::Joined(1)).unwrap()[..],
    ]
    .concat();
    let expected = [
        Event::Object(part(), Content::Bytes(3)),
        Event::Data(Bytes::from_static(b"abc")),
        Event::End,
        Event::Object(segment, Content::Joined(1)),
        Event::End,
    ];
    for length in [1, 2, 7, whole.len()] {
        assert_eq!(events(pieces(&whole, length)).unwrap(), expected);
    }
    for short in 1..whole.len() {
        let end = events(pieces(&whole[..short], whole.len()));
        let between = whole.len()
            - encode(&expected_segment(), Content::Joined(1))
                .unwrap()
                .len();
        assert_eq!(end.is_ok(), short == between, "{short} bytes");
    }
}

fn expected_segment() -> ObjectHead {
    ObjectHead {
        path: "/live/demo/3/source/12.m4s".to_owned(),
        ..part()
    }
}

#[test]
fn what_is_no_object_is_named() {
    for (bytes, error) in [
        (prefix(0, 1, 2, 0), FeedError::Kind(0)),
        (prefix(3, 0, 0, 1), FeedError::Alive),
        (prefix(1, 0, 2, 0), FeedError::PathLength(0)),
        (prefix(1, 1_025, 2, 0), FeedError::PathLength(1_025)),
        (prefix(1, 1, 1, 0), FeedError::HeadLength(1)),
        (prefix(1, 1, 16_385, 0), FeedError::HeadLength(16_385)),
        (
            prefix(1, 1, 2, MAX_BODY_BYTES + 1),
            FeedError::BodyLength(u64::from(MAX_BODY_BYTES) + 1),
        ),
        (prefix(2, 1, 2, 0), FeedError::Joined(0)),
        (prefix(2, 1, 2, 1_025), FeedError::Joined(1_025)),
    ] {
        // Before anything of the length is there.
        assert_eq!(events([bytes]), Err(error));
    }
    let after = |bytes: &[u8], path: u16, head: u16| {
        events([prefix(1, path, head, 0), Bytes::copy_from_slice(bytes)])
    };
    assert_eq!(after(b"x\0\xc8", 1, 2), Err(FeedError::Path));
    assert_eq!(after(b"/ \0\xc8", 2, 2), Err(FeedError::Path));
    assert_eq!(after(b"/\0\x64", 1, 2), Err(FeedError::Status(100)));
    assert_eq!(after(b"/\0\xc8\x01", 1, 3), Err(FeedError::Field));
    assert_eq!(after(b"/\0\xc8\x01\0\x02a", 1, 6), Err(FeedError::Field));
    assert_eq!(after(b"/\0\xc8\x01\0\0A", 1, 6), Err(FeedError::Field));
    let many = [&b"/\0\xc8"[..], &b"\x01\0\0a".repeat(65)].concat();
    assert_eq!(after(&many, 1, 262), Err(FeedError::TooManyFields));
}

#[test]
fn what_cannot_be_read_is_not_written() {
    let with = |change: fn(&mut ObjectHead), content| {
        let mut head = part();
        change(&mut head);
        encode(&head, content)
    };
    let none = Content::Bytes(0);
    for (result, error) in [
        (
            with(|head| head.path = "a".to_owned(), none),
            FeedError::Path,
        ),
        (with(|head| head.status = 99, none), FeedError::Status(99)),
        (
            with(|head| head.fields[0].0 = "Content".to_owned(), none),
            FeedError::Field,
        ),
        (
            with(|head| head.fields[0].1 = vec![b'x'; 16 << 10].into(), none),
            FeedError::HeadLength(16_411),
        ),
        (
            with(|_| {}, Content::Bytes(MAX_BODY_BYTES + 1)),
            FeedError::BodyLength(u64::from(MAX_BODY_BYTES) + 1),
        ),
        (with(|_| {}, Content::Joined(0)), FeedError::Joined(0)),
    ] {
        assert_eq!(result, Err(error));
    }
}

fn heads() -> impl Strategy<Value = ObjectHead> {
    let fields = proptest::collection::vec(
        (
            "[a-z][a-z0-9-]{0,20}",
            proptest::collection::vec(any::<u8>(), 0..40),
        ),
        0..8,
    );
    ("/[!-~]{0,60}", 200u16..600, fields).prop_map(|(path, status, fields)| ObjectHead {
        path,
        status,
        fields: fields
            .into_iter()
            .map(|(name, value)| (name, value.into()))
            .collect(),
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        objects in proptest::collection::vec(
            (heads(), proptest::collection::vec(any::<u8>(), 0..300), 0u32..4),
            0..6,
        ),
        length in 1usize..400,
    ) {
        let (mut whole, mut expected) = (Vec::new(), Vec::new());
        for (head, bytes, joined) in objects {
            let content = match joined {
                0 => Content::bytes(bytes.len()).unwrap(),
                count => Content::Joined(count),
            };
            whole.extend_from_slice(&encode(&head, content).unwrap());
            expected.push(Event::Object(head, content));
            if joined == 0 && !bytes.is_empty() {
                whole.extend_from_slice(&bytes);
                expected.push(Event::Data(bytes.into()));
            }
            expected.push(Event::End);
        }
        prop_assert_eq!(events(pieces(&whole, length)).unwrap(), expected);
    }

    #[test]
    fn any_bytes_are_read_the_same_in_any_pieces(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        length in 1usize..50,
    ) {
        let read = |length| events(pieces(&bytes, length));
        prop_assert_eq!(read(length), read(bytes.len()));
    }
}

#[test]
fn a_sign_of_life_stands_between_objects() {
    let object = encode(&part(), Content::Bytes(0)).unwrap();
    let alive = Bytes::from_static(&ALIVE);
    let events = events([alive.clone(), object, alive]).unwrap();
    assert_eq!(
        events,
        [
            Event::Alive,
            Event::Object(part(), Content::Bytes(0)),
            Event::End,
            Event::Alive
        ]
    );
}
