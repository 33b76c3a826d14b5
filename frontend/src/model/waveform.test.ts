import { describe, expect, it } from "vitest";
import type { DataSet } from "../dicomweb/dicom-json";
import { millivolts, waveformGroup } from "./waveform";

const value = (...values: unknown[]) => ({ vr: "UN", Value: values });

const channel = (name: string, more: DataSet = {}): DataSet => ({
	"003A0208": value({ "00080104": value(name) }),
	"003A0210": value(1.25),
	"003A0211": value({ "00080100": value("uV") }),
	...more,
});

const item = (more: DataSet = {}): DataSet => ({
	"003A0005": value(2),
	"003A0010": value(3),
	"003A001A": value(500),
	"003A0020": value("RHYTHM"),
	"003A0200": value(
		channel("Lead I (Einthoven)"),
		channel("Lead V1", { "003A0212": value(2), "003A0213": value(10) }),
	),
	"54001006": value("SS"),
	...more,
});

const bytes = new Uint8Array(Int16Array.of(100, 1, -100, 2, 0, 3).buffer);

describe("waveforms", () => {
	it("takes channels apart and gives them their unit", () => {
		const group = waveformGroup(item(), bytes);
		expect(group?.label).toBe("RHYTHM");
		expect(group?.seconds).toBeCloseTo(0.006);
		expect(group?.channels.map((each) => each.name)).toEqual(["I", "V1"]);
		expect([...(group?.channels[0]?.values ?? [])]).toEqual([125, -125, 0]);
		expect([...(group?.channels[1]?.values ?? [])]).toEqual([12.5, 15, 17.5]);
	});

	it("refuses what does not fit", () => {
		expect(waveformGroup(item(), bytes.subarray(0, 8))).toBeUndefined();
		expect(waveformGroup(item({ "54001006": value("MB") }), bytes)).toBeUndefined();
		expect(waveformGroup(item({ "003A001A": value(0) }), bytes)).toBeUndefined();
	});

	it("knows volts", () => {
		expect(millivolts("uV")).toBe(0.001);
		expect(millivolts("mm[Hg]")).toBeUndefined();
	});
});
