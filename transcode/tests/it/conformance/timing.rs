//! When frames are shown: the source's times, whatever they are.

use bytes::Bytes;

use super::clip::Clip;
use super::conforms;

#[tokio::test]
async fn t01_b_frames() {
    let clip = Clip::h264("320x180", "25", 4, "-bf 3 -x264-params b-pyramid=strict");
    assert!(clip.frames.iter().any(|frame| frame.dts < frame.pts));
    conforms(clip).await;
}

#[tokio::test]
async fn t01_open_gop() {
    let clip = Clip::make(
        "mp4",
        "-f lavfi -i testsrc2=size=320x180:rate=25:duration=4 -pix_fmt yuv420p \
         -c:v libx264 -preset fast -x264-params open-gop=1:keyint=25:bframes=3:scenecut=0",
    );
    let leading = clip.frames.iter().zip(clip.frames.iter().skip(1));
    assert!(
        leading
            .clone()
            .any(|(one, next)| one.key && next.pts < one.pts),
        "pictures that are decoded after a key frame and shown before it"
    );
    conforms(clip).await;
}

#[tokio::test]
async fn t03_one_frame_a_second() {
    conforms(Clip::h264("160x90", "1", 6, "")).await;
}

#[tokio::test]
async fn t03_15_frames_a_second() {
    conforms(Clip::h264("160x90", "15", 3, "")).await;
}

#[tokio::test]
async fn t03_film() {
    conforms(Clip::h264("160x90", "24000/1001", 3, "-bf 2")).await;
}

#[tokio::test]
async fn t03_30_frames_a_second() {
    conforms(Clip::h264("160x90", "30", 3, "-bf 2")).await;
}

#[tokio::test]
async fn t03_50_frames_a_second() {
    conforms(Clip::h264("160x90", "50", 3, "-bf 2")).await;
}

#[tokio::test]
async fn t03_60_frames_a_second() {
    conforms(Clip::h264("160x90", "60", 3, "-bf 2")).await;
}

#[tokio::test]
async fn t03_variable_frame_rate() {
    let clip = Clip::h264(
        "160x90",
        "24",
        4,
        "-vf settb=1/90000,setpts=(N/24+0.016*sin(N))/TB+1 -fps_mode passthrough -enc_time_base 1:90000 \
         -video_track_timescale 90000 -bf 2",
    );
    let times = clip.expected();
    let spans = times
        .windows(2)
        .map(|pair| (pair[1].0 - pair[0].0).as_micros());
    let (shortest, longest) = (spans.clone().min().unwrap(), spans.max().unwrap());
    assert!(
        shortest < 30_000 && longest > 50_000,
        "{shortest} {longest}"
    );
    conforms(clip).await;
}

#[tokio::test]
async fn t03_slideshow() {
    conforms(Clip::h264("160x90", "1/4", 20, "")).await;
}

#[tokio::test]
async fn t04_a_jump_ahead() {
    let clip = Clip::h264(
        "160x90",
        "25",
        4,
        "-vf setpts=PTS+gte(N\\,60)*7/TB -fps_mode passthrough -bf 2",
    );
    let times = clip.expected();
    let longest = times.windows(2).map(|pair| pair[1].0 - pair[0].0).max();
    assert!(longest.unwrap().as_secs_f64() > 6.9);
    conforms(clip).await;
}

/// A Main profile sequence parameter set's bits (H.264 7.3.2.1.1).
struct Bits {
    bits: Vec<bool>,
    at: usize,
}

impl Bits {
    fn of(bytes: &[u8]) -> Self {
        let bit = |at: usize| bytes[at / 8] >> (7 - at % 8) & 1 == 1;
        Self {
            bits: (0..8 * bytes.len()).map(bit).collect(),
            at: 0,
        }
    }

    fn flag(&mut self) -> bool {
        self.at += 1;
        self.bits[self.at - 1]
    }

    /// `ue(v)`.
    fn number(&mut self) -> usize {
        let zeros = self.bits[self.at..].iter().position(|bit| *bit).unwrap();
        self.at += zeros;
        (0..=zeros).fold(0, |number, _| 2 * number + usize::from(self.flag())) - 1
    }

    /// What was read, a last flag that is not set, and the trailing bits.
    fn cut(mut self) -> Vec<u8> {
        self.bits.truncate(self.at);
        self.bits.extend([false, true]);
        self.bits
            .chunks(8)
            .map(|bits| {
                let ones = (0..8).map(|at| bits.get(at).copied().unwrap_or(false));
                ones.fold(0, |byte, bit| byte << 1 | u8::from(bit))
            })
            .collect()
    }
}

/// The record without the usability information of its sequence parameter set, which
/// says how far pictures are reordered.
fn without_usability(record: &[u8]) -> Bytes {
    let length = usize::from(u16::from_be_bytes([record[6], record[7]]));
    let (set, rest) = record[8..].split_at(length);
    assert_eq!(set[1], 77, "Main profile");
    let mut bits = Bits::of(set);
    bits.at = 32;
    bits.number(); // seq_parameter_set_id
    bits.number(); // log2_max_frame_num_minus4
    assert_eq!(bits.number(), 0, "pic_order_cnt_type");
    bits.number(); // log2_max_pic_order_cnt_lsb_minus4
    bits.number(); // max_num_ref_frames
    bits.flag(); // gaps_in_frame_num_value_allowed_flag
    bits.number(); // pic_width_in_mbs_minus1
    bits.number(); // pic_height_in_map_units_minus1
    assert!(bits.flag(), "frame_mbs_only_flag");
    bits.flag(); // direct_8x8_inference_flag
    if bits.flag() {
        for _ in 0..4 {
            bits.number();
        }
    }
    let read = &set[..bits.at.div_ceil(8)];
    let is_escaped = read.windows(3).any(|three| three == [0, 0, 3]);
    assert!(!is_escaped, "emulation prevention in {read:x?}");
    let cut = bits.cut();
    let length = u16::try_from(cut.len()).unwrap().to_be_bytes();
    [&record[..6], &length, &cut, rest].concat().into()
}

#[tokio::test]
async fn t01_b_frames_that_only_the_container_tells_of() {
    let mut clip = Clip::h264(
        "320x176",
        "25",
        2,
        "-profile:v main -bf 3 -x264-params b-pyramid=normal:bframes=3",
    );
    assert_eq!(clip.source.reorder, 2);
    clip.source.record = without_usability(&clip.source.record);
    conforms(clip).await;
}
