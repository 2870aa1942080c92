use image::codecs::webp;
use image::{ExtendedColorType, ImageEncoder, Luma, Rgb, Rgba};

use super::*;

const RED: Rgb<u8> = Rgb([220, 30, 30]);
const BLUE: Rgb<u8> = Rgb([30, 30, 220]);

/// The upper half red, the lower blue.
fn flag(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(
        width,
        height,
        |_, y| if y < height / 2 { RED } else { BLUE },
    )
}

fn file(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn shown(made: &Remade) -> RgbaImage {
    image::load_from_memory(&made.data).unwrap().into_rgba8()
}

fn is_near(pixel: &Rgba<u8>, color: Rgb<u8>) -> bool {
    let pairs = pixel.0.iter().zip(color.0);
    pairs.fold(0, |sum, (one, other)| sum + one.abs_diff(other) as u32) < 60
}

/// A JPEG with this orientation in its Exif data, and a text beside it.
fn oriented(picture: &RgbImage, orientation: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 95);
    // One entry of a TIFF directory: tag 0x112, one short.
    let mut exif = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    exif.extend(b"GPS 52.5163N 13.3777E");
    encoder.set_exif_metadata(exif).unwrap();
    let (width, height) = picture.dimensions();
    encoder
        .encode(picture, width, height, ExtendedColorType::Rgb8)
        .unwrap();
    bytes
}

#[test]
fn each_format_is_read_whatever_its_pixels_are() {
    let rgb = DynamicImage::ImageRgb8(flag(64, 48));
    for (picture, format) in [
        (rgb.clone(), ImageFormat::Png),
        (rgb.clone(), ImageFormat::Jpeg),
        (rgb.clone(), ImageFormat::WebP),
        (rgb.to_luma8().into(), ImageFormat::Png),
        (rgb.to_luma8().into(), ImageFormat::Jpeg),
        (rgb.to_luma16().into(), ImageFormat::Png),
        (rgb.to_rgb16().into(), ImageFormat::Png),
        (rgb.to_rgba16().into(), ImageFormat::Png),
        (rgb.to_rgba8().into(), ImageFormat::WebP),
    ] {
        let made = remake(&file(&picture, format)).unwrap();
        assert_eq!(made.media_type, MediaType::Jpeg, "{format:?}");
        assert_eq!(shown(&made).dimensions(), (48, 48));
    }
    let made = remake(&file(&rgb, ImageFormat::WebP)).unwrap();
    assert!(is_near(shown(&made).get_pixel(20, 4), RED));
    assert!(is_near(shown(&made).get_pixel(20, 44), BLUE));
}

#[test]
fn what_can_be_seen_through_stays_so() {
    let mut picture = DynamicImage::ImageRgb8(flag(64, 64)).into_rgba8();
    picture.put_pixel(5, 60, Rgba([0, 0, 0, 0]));
    for format in [ImageFormat::Png, ImageFormat::WebP] {
        let made = remake(&file(&picture.clone().into(), format)).unwrap();
        assert_eq!(made.media_type, MediaType::Png);
        assert_eq!(shown(&made), picture);
    }
}

#[test]
fn the_square_in_the_middle_is_scaled_and_never_up() {
    for (width, height, side) in [
        (1, 1, 1),
        (3, 500, 3),
        (512, 513, 512),
        (700, 600, 512),
        (3_000, 2_000, 512),
        (2_001, 3_001, 512),
    ] {
        // A band on each of the longer sides is cut off.
        let picture = RgbImage::from_fn(width, height, |x, y| {
            let side = width.min(height);
            let (left, top) = ((width - side) / 2, (height - side) / 2);
            let is_in = (left..left + side).contains(&x) && (top..top + side).contains(&y);
            if is_in { RED } else { BLUE }
        });
        let made = remake(&file(&picture.into(), ImageFormat::Png)).unwrap();
        let shown = shown(&made);
        assert_eq!(shown.dimensions(), (side, side), "{width}x{height}");
        assert!(shown.pixels().all(|pixel| is_near(pixel, RED)));
    }
}

#[test]
fn pictures_are_upright_and_keep_no_metadata() {
    let picture = flag(40, 80);
    for (orientation, at_red) in [(1, (20, 2)), (3, (20, 37)), (6, (37, 20)), (8, (2, 20))] {
        let given = oriented(&picture, orientation);
        assert!(given.windows(4).any(|bytes| bytes == b"GPS "));
        let made = remake(&given).unwrap();
        let (x, y) = at_red;
        let shown = shown(&made);
        assert!(is_near(shown.get_pixel(x, y), RED), "{orientation}");
        let opposite = shown.get_pixel(39 - x, 39 - y);
        assert!(is_near(opposite, BLUE), "{orientation}");
        assert!(
            !made
                .data
                .windows(4)
                .any(|bytes| bytes == b"GPS " || bytes == b"Exif")
        );
    }
}

#[test]
fn a_picture_for_a_post_keeps_its_shape() {
    for (given, full, preview) in [
        ((30, 20), (30, 20), (30, 20)),
        ((POSTED_SIDE, 100), (POSTED_SIDE, 100), (960, 47)),
        ((3_000, 1_500), (2_048, 1_024), (960, 480)),
        ((1_500, 3_000), (1_024, 2_048), (480, 960)),
        ((MAX_SIDE, 1), (2_048, 1), (960, 1)),
        ((3, MAX_SIDE), (1, 2_048), (1, 960)),
    ] {
        let (width, height) = given;
        let made = file(&flag(width, height).into(), ImageFormat::Png);
        let made = remake_for_post(&made).unwrap();
        assert_eq!((made.width, made.height), full, "{given:?}");
        assert_eq!(made.media_type, MediaType::Jpeg);
        for (bytes, size) in [(&made.full, full), (&made.preview, preview)] {
            let shown = image::load_from_memory(bytes).unwrap().into_rgba8();
            assert_eq!(shown.dimensions(), size, "{given:?}");
            if size.1 > 1 {
                let (width, height) = size;
                assert!(is_near(shown.get_pixel(width / 2, height / 8), RED));
                assert!(is_near(
                    shown.get_pixel(width / 2, height - 1 - height / 8),
                    BLUE
                ));
            }
        }
    }
}

#[test]
fn a_picture_for_a_post_is_scaled_until_its_file_is_not_too_large() {
    // What no compression makes less of.
    let mut state = 1_u32;
    let noise = RgbaImage::from_fn(POSTED_SIDE, 1_024, |_, _| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        Rgba(state.to_le_bytes())
    });
    assert!(write(&noise, MediaType::Png).unwrap().len() > POSTED_BYTES);
    let (full, data) = light(noise, MediaType::Png).unwrap();
    assert!(data.len() <= POSTED_BYTES);
    let (width, height) = full.dimensions();
    assert_eq!(width, 2 * height);
    assert!((512..POSTED_SIDE).contains(&width), "{width}");
    let shown = image::load_from_memory(&data).unwrap();
    assert_eq!(shown.dimensions(), (width, height));
}

#[test]
fn a_picture_for_a_post_is_upright_without_metadata_and_of_one_kind() {
    // As a camera held sideways has it: what is above is on the right.
    let made = remake_for_post(&oriented(&flag(64, 40), 6)).unwrap();
    assert_eq!((made.width, made.height), (40, 64));
    for bytes in [&made.full, &made.preview] {
        assert!(!bytes.windows(3).any(|bytes| bytes == b"GPS"));
        let shown = image::load_from_memory(bytes).unwrap().into_rgba8();
        assert!(is_near(shown.get_pixel(35, 32), RED) && is_near(shown.get_pixel(4, 32), BLUE));
    }
    // One clear pixel, which is none of the preview's.
    let mut glass = DynamicImage::from(flag(2_000, 1_000)).into_rgba8();
    glass.put_pixel(1_999, 999, Rgba([0, 0, 0, 0]));
    let made = remake_for_post(&file(&glass.into(), ImageFormat::Png)).unwrap();
    assert_eq!(made.media_type, MediaType::Png);
    for bytes in [&made.full, &made.preview] {
        assert_eq!(image::guess_format(bytes).unwrap(), ImageFormat::Png);
    }
    assert_eq!(remake_for_post(b"GIF89a"), Err(Unusable::Format));
}

#[test]
fn what_is_no_picture_is_told() {
    for given in [
        &b""[..],
        b"GIF89a\x01\0\x01\0\0\0\0;",
        b"<svg/>",
        b"BM",
        b"\xff\xd8",
    ] {
        let refused = remake(given).unwrap_err();
        let is_told = matches!(refused, Unusable::Format | Unusable::Broken(_));
        assert!(is_told, "{refused}");
    }
    assert_eq!(remake(b"<svg/>"), Err(Unusable::Format));
}

#[test]
fn what_was_cut_off_is_refused_wherever_it_was() {
    let picture = DynamicImage::ImageRgb8(flag(64, 48));
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
        let whole = file(&picture, format);
        for length in (0..whole.len() - 16).step_by(7) {
            let made = remake(&whole[..length]);
            assert!(made.is_err(), "{format:?} {length} of {}", whole.len());
        }
    }
}

#[test]
fn what_is_too_large_is_refused_before_it_is_read() {
    let tall = DynamicImage::ImageLuma8(image::GrayImage::new(1, MAX_SIDE + 1));
    let refused = remake(&file(&tall, ImageFormat::Png)).unwrap_err();
    let (width, height) = (1, MAX_SIDE + 1);
    assert_eq!(refused, Unusable::Sides { width, height });
    let just = DynamicImage::ImageLuma8(image::GrayImage::new(1, MAX_SIDE));
    assert!(remake(&file(&just, ImageFormat::Png)).is_ok());

    let (width, height) = (30_000, 30_000);
    let refused = remake(&claiming(width, height));
    assert_eq!(refused, Err(Unusable::Sides { width, height }));
    // One row of it is more than the reader may take.
    let refused = remake(&claiming(0x7fff_ffff, 0x7fff_ffff));
    assert_eq!(refused, Err(Unusable::Memory));
    // Eight bytes a pixel.
    let deep = claiming_depth(MAX_SIDE, MAX_SIDE, 16, 6);
    assert_eq!(remake(&deep), Err(Unusable::Memory));
}

/// A JPEG of which the markers say more than there is: its frame, and its only scan.
fn claiming_jpeg(frame: u8, (width, height): (u16, u16), components: u8, in_scan: u8) -> Vec<u8> {
    let mut jpeg = vec![0xff, 0xd8, 0xff, frame, 0, 8 + 3 * components, 8];
    jpeg.extend(height.to_be_bytes());
    jpeg.extend(width.to_be_bytes());
    jpeg.push(components);
    jpeg.extend((1..=components).flat_map(|id| [id, 0x11, 0]));
    jpeg.extend([0xff, 0xda, 0, 6 + 2 * in_scan, in_scan]);
    jpeg.extend((1..=in_scan).flat_map(|id| [id, 0]));
    jpeg.extend([0, 63, 0, 0xff, 0xd9]);
    jpeg
}

const SOF0: u8 = 0xc0;
const SOF2: u8 = 0xc2;

#[test]
fn a_jpeg_whose_coefficients_are_collected_is_smaller() {
    let largest = (8_192, 8_192);
    for (frame, size, components, in_scan) in [
        (SOF2, largest, 3, 3),
        // Sequential, and yet collected: 576 MiB.
        (SOF0, largest, 3, 1),
        (SOF0, largest, 3, 2),
        // 26 million pixels: three components are less than may be, four are more.
        (SOF2, (5_200, 5_000), 4, 4),
        (SOF0, (5_200, 5_000), 4, 1),
    ] {
        let refused = remake(&claiming_jpeg(frame, size, components, in_scan));
        assert_eq!(
            refused,
            Err(Unusable::Memory),
            "{frame:x} {components} {in_scan}"
        );
    }
    for (frame, size, components, in_scan) in [
        (SOF0, largest, 1, 1),
        (SOF0, largest, 3, 3),
        (SOF2, (5_200, 5_000), 3, 3),
    ] {
        let outline = jpeg::Outline::of(&claiming_jpeg(frame, size, components, in_scan)).unwrap();
        let (width, height) = size;
        let pixels = u64::from(width) * u64::from(height);
        let bytes = u64::from(components) * pixels;
        assert!(
            Beside::from(&outline).fits(pixels, bytes),
            "{frame:x} {components} {in_scan}"
        );
    }
}

#[test]
fn what_a_decoder_might_not_take_for_a_segment_is_refused() {
    let sequential = claiming_jpeg(SOF0, (8_192, 8_192), 3, 3);
    let progressive = claiming_jpeg(SOF2, (8_192, 8_192), 3, 3);
    let hidden = &progressive[2..progressive.len() - 2];
    let rest = &sequential[2..];
    let length = (hidden.len() as u16 + 2).to_be_bytes();
    for opens in [
        // For some a marker that stands alone, for others a segment with a length.
        &[0xff, 0xd0][..],
        &[0xff, 0xd8],
        &[0xff, 0x01],
        // For some stuffing, for others a marker of the byte behind it.
        &[0xff, 0x00, 0xff, 0xe1],
        // The first byte of the next marker is taken for one of its own.
        &[0xff, 0xe0, 0, 6, 1, 2, 3, 4, 0xff, 0xe1],
    ] {
        let file = [&[0xff, 0xd8], opens, &length, hidden, rest].concat();
        let refused = remake(&file).unwrap_err();
        assert!(
            matches!(refused, Unusable::Broken(_)),
            "{opens:x?} {refused}"
        );
    }
}

#[test]
fn a_jpeg_of_very_many_segments_is_refused_at_once() {
    let still = file(&flag(8, 8).into(), ImageFormat::Jpeg);
    // Extended XMP: a decoder sorts and compares all that it has after each.
    let name = b"http://ns.adobe.com/xmp/extension/\0";
    let mut segment = vec![0xff, 0xe1, 0, 2 + 35 + 40];
    segment.extend(name);
    segment.extend([b'0'; 32]);
    segment.extend([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    let of = |segments| [&still[..2], &segment.repeat(segments), &still[2..]].concat();
    let refused = remake(&of(66_000)).unwrap_err().to_string();
    assert!(refused.contains("more than 512 segments"), "{refused}");
    assert!(remake(&of(300)).is_ok());
}

fn still_webp() -> Vec<u8> {
    let mut still = Vec::new();
    webp::WebPEncoder::new_lossless(&mut still)
        .write_image(&flag(8, 8), 8, 8, ExtendedColorType::Rgb8)
        .unwrap();
    still
}

fn riff(body: &[u8]) -> Vec<u8> {
    let size = (body.len() as u32).to_le_bytes();
    [b"RIFF", &size[..], body].concat()
}

#[test]
fn a_webp_does_not_say_one_thing_and_have_another() {
    let still = still_webp();
    // A frame of another size than the file says, which would take 400 MiB to read.
    let mut lies = b"WEBPVP8X\x0a\0\0\0\0\0\0\0\x07\0\0\x07\0\0VP8 ".to_vec();
    lies.extend([
        10, 0, 0, 0, 0x10, 0, 0, 0x9d, 1, 0x2a, 0xff, 0x3f, 0xff, 0x3f,
    ]);
    let refused = remake(&riff(&lies)).unwrap_err().to_string();
    assert!(refused.contains("two sizes"), "{refused}");
    // Metadata of 4 GiB.
    let mut large = b"WEBPVP8X\x0a\0\0\0\x08\0\0\0\x07\0\0\x07\0\0".to_vec();
    large.extend(&still[12..]);
    large.extend(b"EXIF\xf0\xff\xff\xff");
    let refused = remake(&riff(&large)).unwrap_err().to_string();
    assert!(refused.contains("ends before"), "{refused}");
}

#[test]
fn the_tables_of_a_webp_without_loss_are_counted() {
    let still = still_webp();
    // What follows the picture in its chunk is none of it.
    for (bytes, is_fine) in [(700_000_u32, true), (800_000, false)] {
        let mut body = b"WEBPVP8L".to_vec();
        body.extend(bytes.to_le_bytes());
        body.extend(&still[20..]);
        body.resize(12 + bytes as usize, 0);
        let made = remake(&riff(&body));
        match is_fine {
            true => assert!(made.is_ok(), "{made:?}"),
            false => assert_eq!(made, Err(Unusable::Memory)),
        }
    }
    let mut alpha = b"WEBPVP8X\x0a\0\0\0\x10\0\0\0\x07\0\0\x07\0\0ALPH".to_vec();
    alpha.extend(800_000_u32.to_le_bytes());
    alpha.resize(alpha.len() + 800_000, 0);
    alpha.extend(b"VP8 \x0a\0\0\0\x10\0\0\x9d\x01\x2a\x08\0\x08\0");
    assert_eq!(remake(&riff(&alpha)), Err(Unusable::Memory));
}

#[test]
fn what_moves_is_refused() {
    let still = still_webp();
    let frame = &still[12..];
    let mut body = b"WEBPVP8X\x0a\0\0\0\x02\0\0\0\x07\0\0\x07\0\0ANIM\x06\0\0\0".to_vec();
    body.extend([0; 6]);
    body.extend(b"ANMF");
    body.extend((16 + frame.len() as u32).to_le_bytes());
    body.extend([0, 0, 0, 0, 0, 0, 7, 0, 0, 7, 0, 0, 100, 0, 0, 0]);
    body.extend(frame);
    assert_eq!(remake(&riff(&body)), Err(Unusable::Animated));
    // It does not say so, and its frame has metadata of 4 GiB.
    let mut hidden = b"WEBPVP8X\x0a\0\0\0\x08\0\0\0\x07\0\0\x07\0\0".to_vec();
    hidden.extend(frame);
    hidden.extend(b"ANMF\x18\0\0\0");
    hidden.extend([0; 16]);
    hidden.extend(b"EXIF\xf0\xff\xff\xff");
    assert_eq!(remake(&riff(&hidden)), Err(Unusable::Animated));

    let still = file(
        &DynamicImage::ImageLuma8(image::GrayImage::from_pixel(4, 4, Luma([9]))),
        ImageFormat::Png,
    );
    let mut moving = still[..33].to_vec();
    moving.extend(chunk(b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]));
    moving.extend(&still[33..]);
    assert_eq!(remake(&moving), Err(Unusable::Animated));
}

/// A PNG of which the header says more than there is.
fn claiming(width: u32, height: u32) -> Vec<u8> {
    claiming_depth(width, height, 8, 0)
}

fn claiming_depth(width: u32, height: u32, depth: u8, color: u8) -> Vec<u8> {
    let mut header = Vec::new();
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    header.extend([depth, color, 0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    png.extend(chunk(b"IHDR", &header));
    // zlib: nothing.
    png.extend(chunk(b"IDAT", &[0x78, 0x9c, 3, 0, 0, 0, 0, 1]));
    png.extend(chunk(b"IEND", &[]));
    png
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let checked = [kind, data].concat();
    let mut crc = u32::MAX;
    for byte in &checked {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 * (crc & 1));
        }
    }
    let mut chunk = (data.len() as u32).to_be_bytes().to_vec();
    chunk.extend(checked);
    chunk.extend((!crc).to_be_bytes());
    chunk
}
