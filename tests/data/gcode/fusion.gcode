;Fusion version: 2.0.19440
;Printer name: Sample
;Print time: 1h:20m:36s
;Extruder 1 material used: 1811mm
;Extruder 1 material name: PLA
;Extruder 1 nozzle diameter: 0.4mm
;Extruder 1 temp: 205C
;bed temp: 60C
;layer count: 2
M190 S60
M109 S205
;LAYER:0
G1 Z0.2 F900
G1 X10 Y10 F6000
G1 X20 Y10 E0.5
G1 X20 Y20 E1.0
G1 X10 Y20 E1.5
G1 X10 Y10 E2.0
;LAYER:1
G1 Z0.4 F900
G1 X10 Y10 F6000
G1 X20 Y10 E0.5
G1 X20 Y20 E1.0
G1 X10 Y20 E1.5
G1 X10 Y10 E2.0
