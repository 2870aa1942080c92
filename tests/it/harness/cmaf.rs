//! Whether bytes are whole CMAF: sizes that add up, and chunks that are pairs.

/// The types of the boxes at the top of `bytes` (ISO/IEC 14496-12 4.2), all of them whole.
fn boxes(bytes: &[u8]) -> Result<Vec<[u8; 4]>, String> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let at = bytes.len() - rest.len();
        let size = match rest
            .first_chunk::<4>()
            .map(|size| u32::from_be_bytes(*size))
        {
            Some(1) => {
                let size = rest.get(8..16).and_then(|size| size.first_chunk::<8>());
                let size = size.ok_or_else(|| format!("cut off in a header at {at}"))?;
                usize::try_from(u64::from_be_bytes(*size)).unwrap_or(usize::MAX)
            }
            Some(size) => size as usize,
            None => return Err(format!("cut off in a header at {at}")),
        };
        if size < 8 || size > rest.len() {
            return Err(format!(
                "box at {at} claims {size} bytes, {} are left",
                rest.len()
            ));
        }
        found.extend(rest[4..8].first_chunk::<4>());
        rest = &rest[size..];
    }
    Ok(found)
}

/// Checks a segment: one `moof` and `mdat` after the other, nothing between them, and
/// returns how many pairs there are.
pub(crate) fn check_segment(bytes: &[u8]) -> Result<usize, String> {
    let boxes = boxes(bytes)?;
    let mut kinds = boxes.iter();
    let mut chunks = 0;
    while let Some(kind) = kinds.next() {
        match kind {
            b"moof" if kinds.next() == Some(b"mdat") => chunks += 1,
            b"styp" | b"prft" | b"emsg" | b"sidx" => {}
            other => {
                let kind = String::from_utf8_lossy(other);
                return Err(format!("{kind} where a chunk was expected"));
            }
        }
    }
    if chunks == 0 {
        return Err("no chunk".to_owned());
    }
    Ok(chunks)
}

/// Checks an init segment: `ftyp` and `moov`.
pub(crate) fn check_init(bytes: &[u8]) -> Result<(), String> {
    let boxes = boxes(bytes)?;
    if boxes.starts_with(&[*b"ftyp"]) && boxes.contains(b"moov") {
        return Ok(());
    }
    Err("no init segment".to_owned())
}

#[test]
fn a_segment_cut_anywhere_is_not_whole() {
    let mut whole = Vec::new();
    for kind in [b"moof", b"mdat"] {
        whole.extend(12_u32.to_be_bytes());
        whole.extend(kind);
        whole.extend([0; 4]);
    }
    assert_eq!(check_segment(&whole), Ok(1));
    for length in 0..whole.len() {
        assert!(check_segment(&whole[..length]).is_err(), "{length}");
    }
}
