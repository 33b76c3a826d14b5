import * as Dialog from "@radix-ui/react-dialog";
import { useMemo, useState } from "react";
import { voiWords } from "../../model/windows";
import { COMMANDS, keyName } from "./commands";
import { useSession, useViewer } from "./session-context";
import { displaySetsIn } from "./viewer-state";

interface Entry {
	id: string;
	label: string;
	group: string;
	keys: string | undefined;
	run: () => void;
}

/** Every word of the search somewhere in the label, in any order. */
function matches(label: string, search: string): boolean {
	const text = label.toLowerCase();
	return search
		.toLowerCase()
		.split(/\s+/)
		.every((word) => text.includes(word));
}

function useEntries(): Entry[] {
	const session = useSession();
	const state = useViewer();
	return useMemo(() => {
		const commands = COMMANDS.filter((command) => !command.quiet).map((command) => ({
			id: command.id,
			label: command.label,
			group: command.group,
			keys: command.keys[0] && keyName(command.keys[0]),
			run: () => command.run(session),
		}));
		const presets = session.presets();
		return [
			...commands,
			...presets.map((preset, index) => ({
				id: `window-${index}-${preset.name}`,
				label: `Window ${preset.name} (${voiWords(preset)})`,
				group: "Image",
				keys: String(index + 1),
				run: () => session.applyPreset(index + 1),
			})),
			...displaySetsIn(state).map((set) => ({
				id: set.id,
				label: `Series ${set.seriesNumber ?? ""} ${set.modality} ${set.description}`,
				group: "Series",
				keys: undefined,
				run: () => session.open(set.id),
			})),
		];
	}, [session, state]);
}

/** Everything by name; each entry teaches its key. */
export function CommandPalette() {
	const session = useSession();
	const entries = useEntries();
	const [search, setSearch] = useState("");
	const [chosen, setChosen] = useState(0);
	const found = entries.filter((entry) => matches(`${entry.group} ${entry.label}`, search));
	const at = Math.min(chosen, found.length - 1);
	const run = (entry: Entry | undefined) => {
		session.setDialog(undefined);
		entry?.run();
	};
	const onKey = (event: React.KeyboardEvent) => {
		if (event.key === "Enter") run(found[at]);
		else if (event.key === "ArrowDown") setChosen(Math.min(at + 1, found.length - 1));
		else if (event.key === "ArrowUp") setChosen(Math.max(at - 1, 0));
		else return;
		event.preventDefault();
	};
	return (
		<Dialog.Root open onOpenChange={() => session.setDialog(undefined)}>
			<Dialog.Portal>
				<Dialog.Overlay className="scrim" />
				<Dialog.Content
					className="dialog"
					aria-describedby={undefined}
					style={{ width: 520 }}
					onCloseAutoFocus={(event) => event.preventDefault()}
				>
					<Dialog.Title className="visually-hidden">Command palette</Dialog.Title>
					<input
						className="palette-search"
						value={search}
						onChange={(event) => {
							setSearch(event.target.value);
							setChosen(0);
						}}
						onKeyDown={onKey}
						placeholder="Type what you want to do"
						role="combobox"
						aria-expanded="true"
						aria-controls="palette-entries"
						aria-activedescendant={found[at] && `palette-${at}`}
					/>
					<div className="palette-list" id="palette-entries" role="listbox" aria-label="Commands">
						{found.map((entry, index) => (
							<div
								key={entry.id}
								id={`palette-${index}`}
								className="menu-item"
								role="option"
								tabIndex={-1}
								aria-selected={index === at}
								ref={
									index === at
										? (element) => element?.scrollIntoView({ block: "nearest" })
										: undefined
								}
								onPointerMove={() => setChosen(index)}
								onClick={() => run(entry)}
								onKeyDown={onKey}
							>
								<span className="palette-group">{entry.group}</span>
								{entry.label}
								{entry.keys && (
									<span className="menu-end">
										<kbd>{entry.keys}</kbd>
									</span>
								)}
							</div>
						))}
						{found.length === 0 && <p className="palette-none">Nothing is called that.</p>}
					</div>
				</Dialog.Content>
			</Dialog.Portal>
		</Dialog.Root>
	);
}
