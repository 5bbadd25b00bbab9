;Start printer preprocessing data.Do not change the following data
;End printer preprocessing data
;MINX:114.0
;MAXX:186.0
;MINY:141.0
;MAXY:159.0
;MINZ:0.2
;MAXZ:3.3
;MachineType:SAMPLE X40
;FilamentType:PLA
;Extruder0Temperature:200
;BedTemperature:35
;InfillDensity:10
;FLAVOR:Marlin
;TIME:657
;FilamentUsed:852.9
;Layer height: 0.2
;Generated with Cura_SteamEngine 3.1
M140 S35
M104 S205
M109 S205
;LAYER_COUNT:16
;LAYER:0
G1 Z0.2 F9000
G1 X10 Y10 F6000
G1 X20 Y10 E0.5
G1 X20 Y20 E1.0
G1 X10 Y20 E1.5
G1 X10 Y10 E2.0
;LAYER:1
G1 Z0.4 F9000
G1 X10 Y10 F6000
G1 X20 Y10 E0.5
G1 X20 Y20 E1.0
G1 X10 Y20 E1.5
G1 X10 Y10 E2.0
