//! `nova bench transcode`.

use crate::harness::{Site, make_file};

#[test]
fn a_ladder_is_measured_rung_by_rung() {
    let site = Site::new();
    let file = site.data_dir().join("in.mkv");
    make_file(
        &file,
        "-f lavfi -i testsrc2=size=640x360:rate=30:duration=4 \
         -c:v libx264 -preset ultrafast -pix_fmt yuv420p",
    );
    let input = file.to_str().expect("UTF-8");
    let arguments = [
        "bench",
        "transcode",
        "--input",
        input,
        "--source",
        "--ladder",
    ];
    let printed = site
        .nova(&[&arguments[..], &["180p:400k,120p:200k"]].concat())
        .succeeded();
    println!("{printed}");
    let row = |name: &str| -> Vec<f64> {
        let line = printed.lines().find(|line| line.starts_with(name));
        let words = line.expect(name).split_whitespace().skip(1);
        words.map(|word| word.parse().expect(word)).collect()
    };
    let ladder = row("ladder ");
    let mut sum = 0.0;
    for rung in ["source ", "180p ", "120p "] {
        let [fps, times, cpu, kilobits, psnr, ssim] = row(rung)[..] else {
            panic!("{rung}: {printed}");
        };
        assert!(fps > 0.0 && kilobits > 0.0, "{rung}: {printed}");
        assert!((fps / times - 30.0).abs() < 1.0, "30 a second: {printed}");
        assert!((20.0..60.0).contains(&psnr), "{rung}: {printed}");
        assert!((0.7..=1.0).contains(&ssim), "{rung}: {printed}");
        sum += cpu;
    }
    // It decodes once.
    assert!(ladder[2] < sum, "{printed}");

    let sentence = site
        .nova(&[
            "bench",
            "transcode",
            "--input",
            input,
            "--ladder",
            "720p:1M",
        ])
        .failed_with_one_sentence();
    assert!(sentence.contains("smaller than the pictures"), "{sentence}");
    let sentence = site
        .nova(&["bench", "transcode", "--input", "/nowhere.mp4"])
        .failed_with_one_sentence();
    assert!(
        sentence.contains("/nowhere.mp4: No such file"),
        "{sentence}"
    );
}
