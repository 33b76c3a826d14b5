import { describe, expect, it } from "vitest";
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
