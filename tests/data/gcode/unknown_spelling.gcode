; Sliced by something new
; Total print time: 0h 31m 5s
; Layer height (mm): 0.25
; First layer height: 0.3
; Nozzle diameter = 0.6
; Nozzle temperature: 222
; Bed temperature: 66
; Filament type: PLA
; Filament used: 1.25 m
; Filament weight: 3.7 g
; Number of layers: 2
; Printer: Sample Nine
; Infill density: 20%
G1 Z0.3 F900
G1 X10 Y10 F6000
G1 X20 Y10 E0.5
G1 X20 Y20 E1.0
G1 X10 Y20 E1.5
G1 X10 Y10 E2.0
G1 Z0.55 F900
G1 X10 Y10 F6000
G1 X20 Y10 E0.5
G1 X20 Y20 E1.0
G1 X10 Y20 E1.5
G1 X10 Y10 E2.0
G1 Z30 F900
