import { overlayCorners, scaleBar } from "../../model/overlay";
import type { ViewState } from "../../viewport/view-state";

function Lines({ lines, where }: { lines: readonly string[]; where: string }) {
	return (
		<div className="corner" data-where={where}>
			{lines.map((line, index) => (
				// biome-ignore lint/suspicious/noArrayIndexKey: lines have a fixed order
				<p key={index}>{line}</p>
			))}
		</div>
	);
}

/** Text over the shown image, from the shown image's own metadata, never from the position asked for. */
export function Overlay({ state }: { state: ViewState }) {
	const { shown, displaySet, edges } = state;
	if (!shown || !displaySet) return null;
	const corners = overlayCorners({
		attributes: shown.frame.attributes,
		index: shown.index,
		count: displaySet.frames.length,
		window: state.window,
		shape: state.shape,
		approximated: state.approximated,
		color: state.color,
		zoom: state.zoom,
		inverted: state.inverted,
		rotation: state.rotation,
		flipped: state.flippedHorizontally || state.flippedVertically,
	});
	const bar = scaleBar(state.mmPerPixel);
	return (
		<div className="overlay">
			<Lines lines={corners.topLeft} where="top-left" />
			<Lines lines={corners.topRight} where="top-right" />
			<Lines lines={corners.bottomLeft} where="bottom-left" />
			<Lines lines={corners.bottomRight} where="bottom-right" />
			{edges && (
				<>
					<span className="edge" data-where="top">
						{edges.top}
					</span>
					<span className="edge" data-where="right">
						{edges.right}
					</span>
					<span className="edge" data-where="bottom">
						{edges.bottom}
					</span>
					<span className="edge" data-where="left">
						{edges.left}
					</span>
				</>
			)}
			{bar && (
				<div className="scale-bar" style={{ width: bar.pixels }}>
					<span>{bar.mm >= 10 ? `${bar.mm / 10} cm` : `${bar.mm} mm`}</span>
				</div>
			)}
		</div>
	);
}
