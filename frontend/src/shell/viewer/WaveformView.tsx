import { useEffect, useRef, useState } from "react";
import { bulkData } from "../../dicomweb/client";
import { inlineBinary } from "../../dicomweb/dicom-json";
import type { DisplaySet } from "../../model/display-sets";
import { Tag } from "../../model/tags";
import {
	type Channel,
	millivolts,
	type WaveformGroup,
	waveformGroup,
	waveformItems,
} from "../../model/waveform";
import { Notice } from "../Notice";

/** CSS pixels of a millimetre; no screen is calibrated. */
const MM = 96 / 25.4;
const SPEEDS = [12.5, 25, 50] as const;
const GAINS = [5, 10, 20] as const;
const ROW_MM = 24;
const LEFT = 44;

type Loaded = { groups: readonly WaveformGroup[] } | { failure: string } | undefined;

function useGroups(displaySet: DisplaySet): Loaded {
	const [loaded, setLoaded] = useState<Loaded>();
	useEffect(() => {
		const stopping = new AbortController();
		const read = async () => {
			const found = await Promise.all(
				waveformItems(displaySet.instances[0] ?? {}).map(async (item) => {
					const attribute = item[Tag.WaveformData];
					const bytes = attribute?.BulkDataURI
						? await bulkData(attribute.BulkDataURI, stopping.signal)
						: inlineBinary(attribute);
					return bytes && waveformGroup(item, bytes);
				}),
			);
			const groups = found.flatMap((group) => group ?? []);
			setLoaded(groups.length > 0 ? { groups } : { failure: "Its samples cannot be read." });
		};
		read().catch((error: unknown) => {
			if (stopping.signal.aborted) return;
			setLoaded({ failure: error instanceof Error ? error.message : String(error) });
		});
		return () => stopping.abort();
	}, [displaySet]);
	return loaded;
}

/** Pixels of a unit: by the gain for volts, else so that the channel fills its row. */
function scaleOf(channel: Channel, gain: number): { scale: number; offset: number } {
	const volts = millivolts(channel.unit);
	if (volts !== undefined) return { scale: volts * gain * MM, offset: 0 };
	let low = Number.POSITIVE_INFINITY;
	let high = Number.NEGATIVE_INFINITY;
	for (const value of channel.values) {
		low = Math.min(low, value);
		high = Math.max(high, value);
	}
	return { scale: (ROW_MM * MM * 0.8) / Math.max(high - low, 1e-9), offset: (low + high) / 2 };
}

function drawGrid(context: CanvasRenderingContext2D, width: number, height: number): void {
	for (const [step, color] of [
		[1, "#161c23"],
		[5, "#28313b"],
	] as const) {
		context.strokeStyle = color;
		context.beginPath();
		for (let x = LEFT; x <= width; x += step * MM) {
			context.moveTo(Math.round(x) + 0.5, 0);
			context.lineTo(Math.round(x) + 0.5, height);
		}
		for (let y = 0; y <= height; y += step * MM) {
			context.moveTo(LEFT, Math.round(y) + 0.5);
			context.lineTo(width, Math.round(y) + 0.5);
		}
		context.stroke();
	}
}

function drawChannel(
	context: CanvasRenderingContext2D,
	channel: Channel,
	middle: number,
	pixelsASample: number,
	gain: number,
): void {
	const { scale, offset } = scaleOf(channel, gain);
	context.strokeStyle = "#e6eaee";
	context.beginPath();
	channel.values.forEach((value, at) => {
		const y = middle - (value - offset) * scale;
		if (at === 0) context.moveTo(LEFT, y);
		else context.lineTo(LEFT + at * pixelsASample, y);
	});
	context.stroke();
	context.fillStyle = "#e0a33c";
	context.fillText(channel.name, 6, middle + 4, LEFT - 8);
}

function Traces({ group, speed, gain }: { group: WaveformGroup; speed: number; gain: number }) {
	const canvas = useRef<HTMLCanvasElement>(null);
	const width = Math.ceil(LEFT + group.seconds * speed * MM);
	const height = Math.ceil(group.channels.length * ROW_MM * MM);
	useEffect(() => {
		const element = canvas.current;
		const context = element?.getContext("2d");
		if (!element || !context) return;
		const ratio = window.devicePixelRatio;
		element.width = width * ratio;
		element.height = height * ratio;
		context.scale(ratio, ratio);
		context.font = "600 12px system-ui, sans-serif";
		context.lineWidth = 1;
		drawGrid(context, width, height);
		group.channels.forEach((channel, row) => {
			const middle = (row + 0.5) * ROW_MM * MM;
			drawChannel(context, channel, middle, (speed * MM) / group.frequency, gain);
		});
	}, [group, speed, gain, width, height]);
	const names = group.channels.map((channel) => channel.name).join(", ");
	return (
		<canvas
			ref={canvas}
			role="img"
			aria-label={`${group.label} ${names}`}
			style={{ width, height }}
		/>
	);
}

function Choice<T extends number>({
	label,
	unit,
	values,
	value,
	onChange,
}: {
	label: string;
	unit: string;
	values: readonly T[];
	value: T;
	onChange: (value: T) => void;
}) {
	return (
		<select
			className="field"
			aria-label={label}
			value={value}
			onChange={(event) => onChange(Number(event.target.value) as T)}
		>
			{values.map((each) => (
				<option key={each} value={each}>
					{each} {unit}
				</option>
			))}
		</select>
	);
}

/** Curves over time on millimetre paper. */
export function WaveformView({ displaySet }: { displaySet: DisplaySet }) {
	const loaded = useGroups(displaySet);
	const [speed, setSpeed] = useState<(typeof SPEEDS)[number]>(25);
	const [gain, setGain] = useState<(typeof GAINS)[number]>(10);
	const [chosen, setChosen] = useState(0);
	if (!loaded) return <Notice title="Loading the waveform" />;
	if ("failure" in loaded)
		return <Notice title="The waveform cannot be shown.">{loaded.failure}</Notice>;
	const group = loaded.groups[chosen] ?? loaded.groups[0];
	if (!group) return null;
	return (
		<div className="waveform">
			<div className="panel-bar">
				{loaded.groups.length > 1 && (
					<select
						className="field"
						aria-label="Group"
						value={chosen}
						onChange={(event) => setChosen(Number(event.target.value))}
					>
						{loaded.groups.map((each, index) => (
							// biome-ignore lint/suspicious/noArrayIndexKey: groups have a fixed order
							<option key={index} value={index}>
								{each.label.toLowerCase() || `group ${index + 1}`}
							</option>
						))}
					</select>
				)}
				<Choice label="Speed" unit="mm/s" values={SPEEDS} value={speed} onChange={setSpeed} />
				<Choice label="Gain" unit="mm/mV" values={GAINS} value={gain} onChange={setGain} />
				<span className="panel-count">
					{group.seconds.toFixed(1)} s at {group.frequency} Hz. The screen is not calibrated: count
					squares.
				</span>
			</div>
			<div className="waveform-sheet">
				<Traces group={group} speed={speed} gain={gain} />
			</div>
		</div>
	);
}
