//! Media playlists, read by `m3u8-rs` and, for what that does not know, line by line.

use m3u8_rs::MediaPlaylist as Parsed;

use super::http::resolve;

/// A media playlist (RFC 8216bis 4.4.3). URIs are resolved.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MediaPlaylist {
    /// `EXT-X-MEDIA-SEQUENCE`.
    pub(crate) sequence: u64,
    /// `EXT-X-DISCONTINUITY-SEQUENCE`.
    pub(crate) discontinuity_sequence: u64,
    /// `EXT-X-TARGETDURATION` in seconds.
    pub(crate) target_duration: u64,
    /// `EXT-X-ENDLIST`.
    pub(crate) ended: bool,
    /// `PART-TARGET` in seconds, where there are parts.
    pub(crate) part_target: Option<f64>,
    /// The attributes of `EXT-X-SERVER-CONTROL`.
    pub(crate) server_control: String,
    /// The segments, first to last.
    pub(crate) segments: Vec<Segment>,
    /// The parts of the segment that is not finished.
    pub(crate) open_parts: Vec<Part>,
    /// What `EXT-X-PRELOAD-HINT` announces.
    pub(crate) preload_hint: Option<String>,
}

/// A media segment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Segment {
    /// Its media sequence number.
    pub(crate) number: u64,
    /// Where it is.
    pub(crate) uri: String,
    /// `EXTINF` in seconds.
    pub(crate) duration: f64,
    /// `EXT-X-GAP`.
    pub(crate) gap: bool,
    /// `EXT-X-DISCONTINUITY` stands before it.
    pub(crate) discontinuity: bool,
    /// When it begins, in seconds of Unix time: its own `EXT-X-PROGRAM-DATE-TIME`, or
    /// an earlier one and the durations since.
    pub(crate) start: Option<f64>,
    /// The init segment that it needs; a gap needs none, whatever stands before it.
    pub(crate) map: Option<String>,
    /// `EXT-X-PART`s.
    pub(crate) parts: Vec<Part>,
}

/// A partial segment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Part {
    /// Where it is.
    pub(crate) uri: String,
    /// `DURATION` in seconds.
    pub(crate) duration: f64,
    /// `INDEPENDENT=YES`.
    pub(crate) independent: bool,
}

/// What `m3u8-rs` does not tell of a segment.
#[derive(Default)]
struct Extras {
    gap: bool,
    parts: Vec<Part>,
}

impl MediaPlaylist {
    /// Reads the playlist at `base`.
    pub(crate) fn parse(base: &str, text: &str) -> Result<Self, String> {
        let parsed = m3u8_rs::parse_media_playlist_res(text.as_bytes())
            .map_err(|error| format!("{base} is no media playlist: {error}\n{text}"))?;
        let mut extras = Vec::new();
        let mut current = Extras::default();
        let mut preload_hint = None;
        for line in text.lines() {
            if let Some(attributes) = line.strip_prefix("#EXT-X-PART:") {
                current.parts.push(part(base, attributes)?);
            } else if let Some(attributes) = line.strip_prefix("#EXT-X-PRELOAD-HINT:") {
                let uri = attribute(attributes, "URI").ok_or("a hint without URI")?;
                preload_hint = Some(resolve(base, uri));
            } else if line == "#EXT-X-GAP" {
                current.gap = true;
            } else if !line.starts_with('#') && !line.is_empty() {
                extras.push(std::mem::take(&mut current));
            }
        }
        let header = |tag: &str| text.lines().find_map(|line| line.strip_prefix(tag));
        let part_target = header("#EXT-X-PART-INF:")
            .and_then(|attributes| attribute(attributes, "PART-TARGET"))
            .and_then(|figure| figure.parse().ok());
        Ok(Self {
            sequence: parsed.media_sequence,
            discontinuity_sequence: parsed.discontinuity_sequence,
            target_duration: parsed.target_duration,
            ended: parsed.end_list,
            part_target,
            server_control: header("#EXT-X-SERVER-CONTROL:")
                .unwrap_or_default()
                .to_owned(),
            segments: segments(base, &parsed, extras)?,
            open_parts: current.parts,
            preload_hint,
        })
    }

    /// The number of the segment that is not finished.
    pub(crate) fn open_number(&self) -> u64 {
        self.sequence + self.segments.len() as u64
    }
}

fn segments(base: &str, parsed: &Parsed, extras: Vec<Extras>) -> Result<Vec<Segment>, String> {
    if parsed.segments.len() != extras.len() {
        return Err(format!(
            "{base}: {} URIs for {} segments",
            extras.len(),
            parsed.segments.len()
        ));
    }
    let mut next_start = None;
    let mut map = None;
    let numbered = (parsed.media_sequence..).zip(parsed.segments.iter().zip(extras));
    let read = numbered.map(|(number, (segment, extras))| {
        if let Some(new) = &segment.map {
            map = Some(resolve(base, &new.uri));
        }
        let told = segment
            .program_date_time
            .map(|date| date.timestamp_micros() as f64 / 1e6);
        let start = told.or(next_start);
        let duration = f64::from(segment.duration);
        next_start = start.map(|start| start + duration);
        Segment {
            number,
            uri: resolve(base, &segment.uri),
            duration,
            gap: extras.gap,
            discontinuity: segment.discontinuity,
            start,
            map: map.clone().filter(|_| !extras.gap),
            parts: extras.parts,
        }
    });
    Ok(read.collect())
}

fn part(base: &str, attributes: &str) -> Result<Part, String> {
    let missing = || format!("EXT-X-PART:{attributes} is not complete");
    Ok(Part {
        uri: resolve(base, attribute(attributes, "URI").ok_or_else(missing)?),
        duration: attribute(attributes, "DURATION")
            .and_then(|figure| figure.parse().ok())
            .ok_or_else(missing)?,
        independent: attribute(attributes, "INDEPENDENT") == Some("YES"),
    })
}

/// One value of an attribute list (RFC 8216bis 4.2), without its quotes.
fn attribute<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    let mut quoted = false;
    let commas_in_quotes = move |c: char| {
        quoted ^= c == '"';
        c == ',' && !quoted
    };
    list.split(commas_in_quotes).find_map(|pair| {
        let (found, value) = pair.split_once('=')?;
        (found == name).then(|| value.trim_matches('"'))
    })
}

#[test]
fn low_latency_tags_are_read() {
    let text = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:2\n\
        #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.0\n\
        #EXT-X-PART-INF:PART-TARGET=0.334\n#EXT-X-MEDIA-SEQUENCE:7\n\
        #EXT-X-DISCONTINUITY-SEQUENCE:3\n#EXT-X-MAP:URI=\"0/source/init.mp4\"\n\
        #EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:01:40.500Z\n#EXTINF:2.0,\n0/source/7.m4s\n\
        #EXT-X-GAP\n#EXTINF:2.0,\n0/source/8.m4s\n\
        #EXT-X-PART:DURATION=0.334,URI=\"0/source/9.0.m4s\",INDEPENDENT=YES\n\
        #EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"0/source/9.1.m4s\"\n";
    let playlist = MediaPlaylist::parse("/live/a/source.m3u8", text).unwrap();
    assert_eq!(playlist.open_number(), 9);
    assert_eq!(playlist.part_target, Some(0.334));
    assert_eq!(playlist.discontinuity_sequence, 3);
    assert_eq!(
        playlist.preload_hint.as_deref(),
        Some("/live/a/0/source/9.1.m4s")
    );
    assert!(playlist.open_parts[0].independent);
    let [first, second] = &playlist.segments[..] else {
        panic!("{playlist:?}");
    };
    assert_eq!(
        (first.number, first.gap, first.start),
        (7, false, Some(100.5))
    );
    assert_eq!(
        (second.number, second.gap, second.start),
        (8, true, Some(102.5))
    );
    assert_eq!(first.map.as_deref(), Some("/live/a/0/source/init.mp4"));
    assert_eq!(second.map, None);
}
