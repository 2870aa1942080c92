//! What pictures look like: size, shape, colours, fields, direction.

use std::process::Command;

use media::{Frame, Rendition};
use transcode::{ColourDescription, Rotation, Rung, RungCodec, Speed};

use super::clip::{Clip, rung};
use super::verdict::{Probed, Written};
use super::{conforms, on_every_engine};

/// A grey picture of the rung's first frames.
fn grey(track: &Rendition, frames: &[Frame]) -> Vec<u8> {
    Written::new(track, frames).pictures("gray")
}

#[tokio::test]
async fn t04_the_picture_changes_size() {
    let folder = tempfile::tempdir().unwrap();
    let part = |size: &str, offset: u32| {
        let path = folder.path().join(format!("{size}.ts"));
        crate::publishing::ffmpeg(
            &format!(
                "-f lavfi -i testsrc2=size={size}:rate=25:duration=2 -pix_fmt yuv420p \
                 -c:v libx264 -preset veryfast -g 25 -bf 0 -output_ts_offset {offset}"
            ),
            &path,
        );
        std::fs::read(path).unwrap()
    };
    let path = folder.path().join("both.ts");
    std::fs::write(&path, [part("320x180", 0), part("192x108", 2)].concat()).unwrap();
    let clip = Clip::read(&path);
    assert_eq!(clip.frames.len(), 100);
    conforms(clip).await;
}

#[tokio::test]
async fn hevc() {
    conforms(Clip::make(
        "mp4",
        "-f lavfi -i testsrc2=size=320x180:rate=25:duration=3 -pix_fmt yuv420p -c:v libx265 \
         -preset ultrafast -x265-params keyint=25:bframes=3:log-level=error:pools=1",
    ))
    .await;
}

#[tokio::test]
async fn av1() {
    let clip = Clip::make(
        "mp4",
        "-f lavfi -i testsrc2=size=320x180:rate=25:duration=2 -pix_fmt yuv420p \
         -c:v libaom-av1 -usage realtime -cpu-used 8 -g 25 -b:v 300k",
    );
    assert_eq!(clip.source.codec.as_str(), "av1");
    conforms(clip).await;
}

#[tokio::test]
async fn vp9_of_odd_size() {
    conforms(Clip::make(
        "webm",
        "-f lavfi -i testsrc2=size=214x120:rate=25:duration=2 -pix_fmt yuv420p \
         -vf format=yuv420p,crop=213:119:0:0:exact=1 \
         -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 25 -b:v 300k",
    ))
    .await;
}

#[tokio::test]
async fn h264_of_odd_size_in_4_4_4() {
    let clip = Clip::h264(
        "854x480",
        "10",
        2,
        "-vf format=yuv444p,crop=853:479:0:0:exact=1 -pix_fmt yuv444p",
    );
    assert_eq!((clip.source.width, clip.source.height), (853, 479));
    let job = clip.job_of(vec![rung("source", 852, 478), rung("half", 426, 238)]);
    on_every_engine(&clip, job, |_, _| ()).await;
}

#[tokio::test]
async fn portrait() {
    conforms(Clip::h264("180x320", "25", 2, "-bf 2")).await;
}

/// Each rung's luma against what `ffmpeg` scales with the same kind of filter. A shift by
/// a part of a sample costs more than 10 dB.
#[tokio::test]
async fn pictures_stay_where_they_are_at_every_ratio() {
    const SOURCE: &str = "1152x648";
    /// Decibels: all are above 49, and 34 is what the shift leaves.
    const NEAR: f64 = 45.0;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mp4");
    crate::publishing::ffmpeg(
        &format!(
            "-f lavfi -i mandelbrot=size={SOURCE}:rate=10:end_scale=0.1,trim=duration=1 \
             -pix_fmt yuv420p -c:v libx264 -preset veryfast -crf 8"
        ),
        &path,
    );
    let clip = Clip::read(&path);
    // Two thirds, a half, a third, a quarter, a sixth, a ninth.
    let sizes = [
        (768, 432),
        (576, 324),
        (384, 216),
        (288, 162),
        (192, 108),
        (128, 72),
    ];
    let rungs = sizes.map(|(width, height)| Rung {
        bit_rate: 8_000_000,
        buffer_bits: 8_000_000,
        ..rung(&format!("{height}p"), width, height)
    });
    on_every_engine(&clip, clip.job_of(rungs.to_vec()), |engine, made| {
        for (width, height) in sizes {
            let name = format!("{height}p");
            let wanted = folder.path().join("wanted.gray");
            crate::publishing::ffmpeg(
                &format!(
                    "-i {} -vf scale={width}:{height}:flags=bicubic -f rawvideo -pix_fmt gray",
                    path.display()
                ),
                &wanted,
            );
            let wanted = std::fs::read(wanted).unwrap();
            let given = grey(&made.tracks[name.as_str()], &made.frames[name.as_str()]);
            let near = psnr(&wanted, &given);
            assert!(near > NEAR, "{engine}, {name}: {near:.1} dB");
        }
    })
    .await;
}

/// In decibels, of samples of 8 bits.
fn psnr(wanted: &[u8], given: &[u8]) -> f64 {
    assert_eq!(wanted.len(), given.len());
    let square = |(a, b): (&u8, &u8)| f64::from(a.abs_diff(*b)).powi(2);
    let error: f64 = wanted.iter().zip(given).map(square).sum();
    10.0 * (255.0 * 255.0 * wanted.len() as f64 / error.max(1.0)).log10()
}

/// Colours by ffprobe's names, and how to encode them.
const COLOURS: [([&str; 4], &str); 4] = [
    (
        ["bt709", "bt709", "bt709", "tv"],
        "-color_primaries bt709 -color_trc bt709 -colorspace bt709 -color_range tv",
    ),
    (
        ["bt470bg", "bt470bg", "bt470bg", "tv"],
        "-color_primaries bt470bg -color_trc gamma28 -colorspace bt470bg -color_range tv",
    ),
    (
        ["bt2020", "arib-std-b67", "bt2020nc", "tv"],
        "-color_primaries bt2020 -color_trc arib-std-b67 -colorspace bt2020nc \
         -color_range tv -pix_fmt yuv420p10le",
    ),
    (
        ["bt709", "bt709", "bt709", "pc"],
        "-color_primaries bt709 -color_trc bt709 -colorspace bt709 -color_range pc \
         -vf scale=out_range=pc -pix_fmt yuvj420p",
    ),
];

#[tokio::test]
async fn colours_are_what_they_were() {
    for (colours, arguments) in COLOURS {
        let clip = Clip::h264("320x180", "10", 1, arguments);
        on_every_engine(&clip, clip.job(), |engine, made| {
            for (name, track) in &made.tracks {
                let probed = Probed::of(track, &made.frames[name]);
                assert_eq!(probed.colour(), colours, "{engine}, {name}");
            }
        })
        .await;
    }
}

#[tokio::test]
async fn colours_of_hevc_are_what_they_were() {
    let clip = Clip::make(
        "mp4",
        "-f lavfi -i testsrc2=size=160x90:rate=10:duration=1 -pix_fmt yuv420p -c:v libx265 \
         -preset ultrafast -color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc \
         -x265-params log-level=error:pools=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc",
    );
    on_every_engine(&clip, clip.job(), |engine, made| {
        for (name, track) in &made.tracks {
            let probed = Probed::of(track, &made.frames[name]);
            let expected = ["bt2020", "smpte2084", "bt2020nc", "tv"];
            assert_eq!(probed.colour(), expected, "{engine}, {name}");
        }
    })
    .await;
}

/// Code points that H.273 has not assigned, in the container and in the bitstream.
#[tokio::test]
async fn colours_that_mean_nothing_are_not_passed_on() {
    let hevc = |rung: Rung| Rung {
        codec: RungCodec::Hevc,
        speed: Speed::Ultrafast,
        ..rung
    };
    for number in [0, 3, 255] {
        let mut clip = Clip::h264("320x180", "10", 1, "");
        clip.source.colour = ColourDescription {
            primaries: number,
            transfer: number,
            matrix: number,
            full_range: None,
        };
        // A matrix of 0 is that of red, green and blue.
        let matrix = if number == 0 { "bt709" } else { "smpte170m" };
        let job = clip.job_of(vec![rung("half", 160, 90), hevc(rung("hevc", 160, 90))]);
        on_every_engine(&clip, job, |engine, made| {
            for (name, track) in &made.tracks {
                let probed = Probed::of(track, &made.frames[name]);
                assert_eq!(probed.colour()[2], matrix, "{engine}, {name}, {number}");
            }
        })
        .await;
    }
    let clip = Clip::h264(
        "320x180",
        "10",
        1,
        "-bsf:v h264_metadata=colour_primaries=3:transfer_characteristics=255:matrix_coefficients=3",
    );
    on_every_engine(&clip, clip.job(), |engine, made| {
        for (name, track) in &made.tracks {
            let probed = Probed::of(track, &made.frames[name]);
            let expected = ["smpte170m", "smpte170m", "smpte170m", "tv"];
            assert_eq!(probed.colour(), expected, "{engine}, {name}");
        }
    })
    .await;
}

/// A matrix or a range applied by mistake moves every level.
#[tokio::test]
async fn levels_are_what_they_were() {
    for (range, level) in [("tv", 16), ("pc", 3)] {
        let clip = Clip::make(
            "mp4",
            &format!(
                "-f lavfi -i color=black:size=160x90:rate=10:duration=1,format=yuv420p,\
                 geq=lum={level}:cb=90:cr=180 -c:v libx264 -qp 1 -color_range {range} \
                 -colorspace bt709 -color_primaries bt709 -color_trc bt709"
            ),
        );
        let job = clip.job_of(vec![rung("source", 160, 90), rung("half", 80, 44)]);
        on_every_engine(&clip, job, |engine, made| {
            for (name, track) in &made.tracks {
                let pictures = Written::new(track, &made.frames[name]).pictures("yuv420p");
                let size = track.pixels();
                let [luma, blue, red] = [
                    pictures[size / 2],
                    pictures[size + size / 8],
                    pictures[size + size / 4 + size / 8],
                ];
                let found = format!("{engine}, {name}, {range}: {luma} {blue} {red}");
                // Of full range, ffmpeg gives them back in limited range.
                let expected = match range {
                    "tv" => [level, 90, 180],
                    _ => [18, 95, 174],
                };
                assert!(luma.abs_diff(expected[0]) <= 2, "{found}");
                assert!(blue.abs_diff(expected[1]) <= 2, "{found}");
                assert!(red.abs_diff(expected[2]) <= 2, "{found}");
            }
        })
        .await;
    }
}

trait Pixels {
    fn pixels(&self) -> usize;
}

impl Pixels for Rendition {
    fn pixels(&self) -> usize {
        match self.shape {
            media::Shape::Video(shape) => (shape.width * shape.height) as usize,
            media::Shape::Audio(_) => panic!("{} is sound", self.name),
        }
    }
}

#[tokio::test]
async fn anamorphic_pictures_keep_their_shape() {
    let clip = Clip::h264("180x144", "10", 1, "-vf setsar=64/45");
    on_every_engine(&clip, clip.job(), |engine, made| {
        for (name, track) in &made.tracks {
            let probed = Probed::of(track, &made.frames[name]);
            // 90x72 and 44x36: the shorter side was rounded.
            let expected = if name == "half" { "64:45" } else { "16:11" };
            assert_eq!(probed.text("sample_aspect_ratio"), expected, "{engine}");
        }
    })
    .await;
}

#[tokio::test]
async fn turned_pictures_come_out_upright() {
    for (rotation, size, corner) in [
        (Rotation::None, (160, 90), (0, 0)),
        (Rotation::Right, (90, 160), (1, 0)),
        (Rotation::Half, (160, 90), (1, 1)),
        (Rotation::Left, (90, 160), (0, 1)),
        (Rotation::Mirrored, (160, 90), (1, 0)),
        (Rotation::MirroredRight, (90, 160), (1, 1)),
        (Rotation::MirroredHalf, (160, 90), (0, 1)),
        (Rotation::MirroredLeft, (90, 160), (0, 0)),
    ] {
        let mut clip = Clip::make(
            "mp4",
            "-f lavfi -i color=black:size=160x90:rate=10:duration=1 \
             -vf drawbox=x=0:y=0:w=40:h=30:color=white:t=fill -pix_fmt yuv420p -c:v libx264",
        );
        clip.source.rotation = rotation;
        assert_eq!(clip.source.upright(), size);
        let job = clip.job_of(vec![rung("source", size.0, size.1)]);
        on_every_engine(&clip, job, |engine, made| {
            let picture = grey(&made.tracks["source"], &made.frames["source"]);
            let (width, height) = (size.0 as usize, size.1 as usize);
            let at = |column: usize, row: usize| {
                picture[(4 + row * (height - 9)) * width + 4 + column * (width - 9)]
            };
            for place in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                let bright = at(place.0, place.1) > 200;
                assert_eq!(
                    bright,
                    place == corner,
                    "{engine}, {rotation:?} at {place:?}"
                );
            }
        })
        .await;
    }
}

/// Of all vertical detail, the part that changes from one line to the next and back.
fn combing(picture: &[u8], width: usize) -> f64 {
    let rows: Vec<&[u8]> = picture.chunks_exact(width).collect();
    let difference = |a: &[u8], b: &[u8]| -> u64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| u64::from(a.abs_diff(*b)))
            .sum()
    };
    let next: u64 = rows.windows(2).map(|w| difference(w[0], w[1])).sum();
    let over: u64 = rows.windows(3).map(|w| difference(w[0], w[2])).sum();
    // A flat picture's noise is no comb.
    next as f64 / (over as f64 + picture.len() as f64 / 2.0)
}

#[tokio::test]
async fn interlaced_pictures_become_progressive() {
    let moving = "-f lavfi -i nullsrc=size=320x180:rate=50:duration=3,\
         geq=lum=16+219*gt(mod(X+8*N\\,64)\\,31):cb=128:cr=128 -pix_fmt yuv420p";
    let clip = Clip::make(
        "mp4",
        &format!(
            "{moving} -vf tinterlace=interleave_top -flags +ildct+ilme -c:v libx264 \
             -preset veryfast -x264-params tff=1 -force_key_frames expr:gte(t,n_forced) -qp 12"
        ),
    );
    assert_eq!(clip.frames.len(), 75);
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("interlaced.gray");
    let made = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error"])
        .args(moving.split_whitespace())
        .args(["-vf", "tinterlace=interleave_top", "-frames:v", "20"])
        .args(["-f", "rawvideo", "-pix_fmt", "gray"])
        .arg(&raw)
        .status();
    assert!(made.unwrap().success());
    let before = combing(
        &std::fs::read(raw).unwrap()[10 * 320 * 180..][..320 * 180],
        320,
    );
    assert!(before > 2.0, "the source has combs: {before}");
    let mut full = rung("source", 320, 180);
    full.bit_rate = 5_000_000;
    full.buffer_bits = 5_000_000;
    let job = clip.job_of(vec![full, rung("half", 160, 90)]);
    on_every_engine(&clip, job, |engine, made| {
        let pictures = grey(&made.tracks["source"], &made.frames["source"]);
        let after = combing(&pictures[10 * 320 * 180..][..320 * 180], 320);
        assert!(after < 1.2, "{engine}: {after}, before {before}");
    })
    .await;
}
