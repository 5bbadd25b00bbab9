; KISSlicer - FREE
; Windows
; version 1.6.3 Release Win64
; Built: Mar 11 2018
;
; *** Printer Settings ***
;
; extension = gcode
; num_extruders = 1
;
; *** Material Settings for Extruder 1 ***
;
; material_name = Sample PLA
; temperature_C = 195
; first_layer_C = 200
; bed_C = 43
; chamber_C = 0
;
; *** Style Settings ***
;
; layer_thickness_mm = -33
; max_layer_thickness_mm = -67
; first_layer_thickness_mm = -50
;
; *** Actual Slicing Settings As Used ***
;
; layer_thickness_mm = 0.132
; max_layer_thickness_mm = 0.268
; first_layer_thickness_mm = 0.2
;
; *** G-code Prefix ***
;
G21
G90
M140 S43
M190 S43
; BEGIN_LAYER_OBJECT z=0.278 z_thickness=0.278
G1 Z0.278 F9000
G1 X90 Y90 F9000
G1 E0 F2400
G1 X110 Y90 E0.50000 F1800
G1 X110 Y110 E1.00000
G1 X90 Y110 E1.50000
G1 X90 Y90 E2.00000
G1 E-0.8 F2400
; END_LAYER_OBJECT z=0.278
; BEGIN_LAYER_OBJECT z=5.000 z_thickness=0.278
G1 Z5 F9000
G1 X90 Y90 F9000
G1 E0 F2400
G1 X110 Y90 E0.50000 F1800
G1 X110 Y110 E1.00000
G1 X90 Y110 E1.50000
G1 X90 Y90 E2.00000
G1 E-0.8 F2400
; Post-layer lift
G1 X56.057 Y37.269 Z5.314 E0 F300
; END_LAYER_OBJECT z=5.000
M104 S0
G91
G1 Z+10
G90
M140 S0
;
; Estimated Build Time:   7.94 minutes
; Estimated Build Cost:   $0.03
;
; Filament used per extruder:
;    Ext 1 =   298.83 mm  (0.719 cm^3)
;    Ext 2 =   1.17 mm  (0.003 cm^3)
;
; Total estimated (pre-cool) minutes: 7.92
