/** Waveforms (PS3.3 C.10.9): groups of channels sampled together, as numbers with a unit. */

import { type DataSet, items, number, text } from "../dicomweb/dicom-json";
import { Tag } from "./tags";

const Wave = {
	Originality: "003A0004",
	NumberOfChannels: "003A0005",
	NumberOfSamples: "003A0010",
	SamplingFrequency: "003A001A",
	GroupLabel: "003A0020",
	ChannelDefinitionSequence: "003A0200",
	ChannelLabel: "003A0203",
	ChannelSourceSequence: "003A0208",
	Sensitivity: "003A0210",
	SensitivityUnitsSequence: "003A0211",
	CorrectionFactor: "003A0212",
	Baseline: "003A0213",
	CodeValue: "00080100",
	CodeMeaning: "00080104",
	BitsAllocated: "54001004",
	SampleInterpretation: "54001006",
} as const;

export interface Channel {
	readonly name: string;
	/** "uV", "mm[Hg]", …; "" where the file gives no sensitivity. */
	readonly unit: string;
	readonly values: Float32Array;
}

export interface WaveformGroup {
	readonly label: string;
	/** Samples a second. */
	readonly frequency: number;
	readonly seconds: number;
	readonly channels: readonly Channel[];
}

type Sample = (view: DataView, at: number) => number;

const SAMPLES: Readonly<Record<string, { bytes: number; read: Sample }>> = {
	SB: { bytes: 1, read: (view, at) => view.getInt8(at) },
	UB: { bytes: 1, read: (view, at) => view.getUint8(at) },
	SS: { bytes: 2, read: (view, at) => view.getInt16(at, true) },
	US: { bytes: 2, read: (view, at) => view.getUint16(at, true) },
	SL: { bytes: 4, read: (view, at) => view.getInt32(at, true) },
	UL: { bytes: 4, read: (view, at) => view.getUint32(at, true) },
};

/** The items of Waveform Sequence, each with its Waveform Data to fetch. */
export function waveformItems(instance: DataSet): DataSet[] {
	return items(instance, Tag.WaveformSequence);
}

/** `Lead I (Einthoven)` is known as I. */
function shortName(name: string): string {
	return name.replace(/^Lead\s+/i, "").replace(/\s*\(Einthoven\)$/i, "");
}

function channelOf(definition: DataSet, raw: Float32Array): Channel {
	const source = items(definition, Wave.ChannelSourceSequence)[0];
	const unit = items(definition, Wave.SensitivityUnitsSequence)[0];
	const scale =
		(number(definition, Wave.Sensitivity) ?? 1) * (number(definition, Wave.CorrectionFactor) ?? 1);
	const baseline = number(definition, Wave.Baseline) ?? 0;
	const name =
		text(definition, Wave.ChannelLabel) || (source ? text(source, Wave.CodeMeaning) : "");
	return {
		name: shortName(name),
		unit: unit ? text(unit, Wave.CodeValue) : "",
		values: raw.map((value) => value * scale + baseline),
	};
}

/** One group from its item and the bytes of its Waveform Data; undefined when they do not fit. */
export function waveformGroup(item: DataSet, bytes: Uint8Array): WaveformGroup | undefined {
	const count = number(item, Wave.NumberOfChannels) ?? 0;
	const samples = number(item, Wave.NumberOfSamples) ?? 0;
	const frequency = number(item, Wave.SamplingFrequency) ?? 0;
	const form = SAMPLES[text(item, Wave.SampleInterpretation)];
	if (!form || count < 1 || samples < 1 || !(frequency > 0)) return undefined;
	if (bytes.byteLength < count * samples * form.bytes) return undefined;
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	const definitions = items(item, Wave.ChannelDefinitionSequence);
	const channels = Array.from({ length: count }, (_, channel) => {
		const raw = new Float32Array(samples);
		// Samples of all channels lie side by side.
		for (let at = 0; at < samples; at += 1) {
			raw[at] = form.read(view, (at * count + channel) * form.bytes);
		}
		return channelOf(definitions[channel] ?? {}, raw);
	});
	return {
		label: text(item, Wave.GroupLabel),
		frequency,
		seconds: samples / frequency,
		channels,
	};
}

/** Millivolts of a value, for electrical channels; undefined for others. */
export function millivolts(unit: string): number | undefined {
	return { uV: 0.001, mV: 1, V: 1000, nV: 1e-6 }[unit];
}
