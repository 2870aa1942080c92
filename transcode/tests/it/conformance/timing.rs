//! When frames are shown: the source's times, whatever they are.

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
