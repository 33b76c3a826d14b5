import * as Tabs from "@radix-ui/react-tabs";
import { X } from "lucide-react";
import { useState } from "react";
import { HeaderInspector } from "./HeaderInspector";
import { MeasurementsPanel } from "./MeasurementsPanel";
import { ReportsPanel } from "./ReportsPanel";
import { useSession } from "./session-context";
import type { Panel } from "./viewer-state";

const WIDTH_KEY = "pacsweb.panel-width";
const NARROWEST = 320;

const TABS: readonly (readonly [Panel, string])[] = [
	["measurements", "Measurements"],
	["reports", "Reports"],
	["header", "Header"],
];

function useWidth(panel: Panel) {
	const key = panel === "header" ? `${WIDTH_KEY}.header` : WIDTH_KEY;
	const fallback = panel === "header" ? 560 : NARROWEST;
	const [widths, setWidths] = useState<Record<string, number>>({});
	const stored = Number(localStorage.getItem(key)) || fallback;
	const width = Math.max(NARROWEST, Math.min(widths[key] ?? stored, window.innerWidth - 400));
	const set = (next: number) => {
		setWidths((all) => ({ ...all, [key]: next }));
		localStorage.setItem(key, String(next));
	};
	return [width, set] as const;
}

/** The panel at the right; its left edge is dragged to make it wider. */
export function SidePanel({ panel }: { panel: Panel }) {
	const session = useSession();
	const [width, setWidth] = useWidth(panel);
	return (
		<aside className="side-panel" style={{ width }} aria-label="Panel">
			{/* biome-ignore lint/a11y/useSemanticElements: a rule cannot be dragged */}
			<div
				className="side-edge"
				role="separator"
				aria-orientation="vertical"
				aria-valuenow={width}
				onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
				onPointerMove={(event) => {
					if (event.buttons === 1) setWidth(window.innerWidth - event.clientX);
				}}
			/>
			<Tabs.Root
				className="side-tabs"
				value={panel}
				onValueChange={(value) => session.togglePanel(value as Panel)}
			>
				<div className="side-head">
					<Tabs.List aria-label="Panels">
						{TABS.map(([id, label]) => (
							<Tabs.Trigger value={id} key={id}>
								{label}
							</Tabs.Trigger>
						))}
					</Tabs.List>
					<button
						type="button"
						className="icon-button"
						aria-label="Close panel"
						onClick={() => session.togglePanel(panel)}
					>
						<X size={16} />
					</button>
				</div>
				<Tabs.Content value="measurements" className="side-content">
					<MeasurementsPanel />
				</Tabs.Content>
				<Tabs.Content value="reports" className="side-content">
					<ReportsPanel />
				</Tabs.Content>
				<Tabs.Content value="header" className="side-content">
					<HeaderInspector />
				</Tabs.Content>
			</Tabs.Root>
		</aside>
	);
}
