//! Pictures that people send: whatever comes is refused or made anew, small and plain.
#![no_main]

use std::io::Cursor;
use std::sync::LazyLock;

use image::{DynamicImage, GenericImageView, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use libfuzzer_sys::fuzz_target;
use social::pictures::{MAX_BYTES, POSTED_SIDE, PREVIEW_SIDE, SIDE, remake, remake_for_post};

/// A small picture of each kind: random bytes alone get no further than a signature.
static PICTURES: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    let opaque = RgbImage::from_fn(40, 24, |x, y| Rgb([x as u8 * 6, y as u8 * 9, 77]));
    let clear = RgbaImage::from_fn(40, 24, |x, y| Rgba([x as u8, y as u8, 200, x as u8 * 6]));
    [
        file(opaque.into(), ImageFormat::Jpeg),
        file(clear.clone().into(), ImageFormat::Png),
        file(clear.into(), ImageFormat::WebP),
    ]
});

fn file(picture: DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, format).expect("it fits into memory");
    file.into_inner()
}

fuzz_target!(|input: (u8, Vec<(u16, u8)>, &[u8])| {
    let (which, changes, rest) = input;
    let mut given = PICTURES
        .get(usize::from(which % 4))
        .cloned()
        .unwrap_or_default();
    for (at, byte) in changes {
        if let Some(place) = given.get_mut(usize::from(at)) {
            *place = byte;
        }
    }
    given.extend_from_slice(rest);
    let posted = remake_for_post(&given);
    let Ok(made) = remake(&given) else {
        assert!(posted.is_err(), "what is read once is read again");
        return;
    };
    let posted = posted.expect("what is read once is read again");
    for (file, side) in [(&posted.full, POSTED_SIDE), (&posted.preview, PREVIEW_SIDE)] {
        let again = image::load_from_memory(file).expect("what was made is a picture");
        let (width, height) = again.dimensions();
        assert!((1..=side).contains(&width) && (1..=side).contains(&height));
    }
    assert!(made.data.len() <= MAX_BYTES);
    let again = image::load_from_memory(&made.data).expect("what was made is a picture");
    let (width, height) = again.dimensions();
    assert!(width == height && (1..=SIDE).contains(&width));
});
