import type { StackView } from "../../viewport/stack-view";
import type { ViewState } from "../../viewport/view-state";

/** Frames a second while a stack is playing. */
export function CineBar({ view, state }: { view: StackView; state: ViewState }) {
	return (
		<div className="cine-bar">
			<button type="button" className="button" onClick={() => view.stop()}>
				Stop
			</button>
			<input
				type="range"
				min={1}
				max={60}
				value={Math.round(state.rate)}
				aria-label="Frames a second"
				onChange={(event) => view.setRate(Number(event.target.value))}
			/>
			<output>{Math.round(state.rate)} fps</output>
		</div>
	);
}
