import { describe, expect, it } from "vitest";
import isColorConversionRequired from "../../node_modules/@cornerstonejs/dicom-image-loader/dist/esm/imageLoader/isColorConversionRequired";
import { rgbOfYbr422 } from "./ybr";

describe("PIX-07: uncompressed YBR_FULL_422", () => {
	it("shares one pair of colour differences between two pixels", () => {
		// Red is Y 76, Cb 85, Cr 255; the second pixel is brighter with the same colour.
		expect([...rgbOfYbr422([76, 100, 85, 255])]).toEqual([254, 0, 0, 255, 24, 24]);
	});

	it("leaves grey grey, with an opaque fourth channel where asked", () => {
		expect([...rgbOfYbr422([10, 250, 128, 128], 4)]).toEqual([10, 10, 10, 255, 250, 250, 250, 255]);
	});
});

describe("PIX-07: frames sent uncompressed under metadata of compressed ones", () => {
	/** Whether the engine's loader changes colours, by the bytes it has for each pixel. */
	const changes = (photometricInterpretation: string, bytes: number) =>
		isColorConversionRequired({
			rows: 16,
			columns: 16,
			photometricInterpretation,
			planarConfiguration: 0,
			pixelDataLength: 16 * 16 * bytes,
		} as Parameters<typeof isColorConversionRequired>[0]);

	it("takes three samples a pixel for RGB where half of the chrominance is announced", () => {
		expect(changes("YBR_FULL_422", 3)).toBe(false);
		expect(changes("YBR_PARTIAL_420", 3)).toBe(false);
	});

	it("takes them for what is announced where all of it is", () => {
		expect(changes("YBR_FULL", 3)).toBe(true);
	});
});
